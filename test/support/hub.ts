import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { type HubServer, hubServer } from "./hubServer.js";
import { temporaryFolder } from "./modelFolder.js";

/** A service of the test's own, and empty caches, credentials and homes; all of it ends with the test. */
export async function startHub(): Promise<{ server: HubServer; home: string }> {
  const server = await hubServer();
  const home = temporaryFolder();
  onTestFinished(() => server.close());
  for (const [name, value] of Object.entries(hubEnvironment(server, home))) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  return { server, home };
}

/** What leads Facet, and the processes that it starts, to a service. */
export const hubEnvironment = ({ url }: HubServer, home: string): Record<string, string> => ({
  HF_HUB_OFFLINE: "",
  TRANSFORMERS_OFFLINE: "",
  HF_ENDPOINT: url,
  HF_HOME: join(home, "huggingface"),
  HF_HUB_CACHE: "",
  HUGGINGFACE_HUB_CACHE: "",
  HF_TOKEN: "",
  HUGGING_FACE_HUB_TOKEN: "",
  HF_TOKEN_PATH: "",
  KAGGLE_API_ENDPOINT: url,
  KAGGLEHUB_CACHE: join(home, "kagglehub"),
  KAGGLE_CONFIG_DIR: join(home, "kaggle"),
  KAGGLE_API_TOKEN: "",
  KAGGLE_USERNAME: "",
  KAGGLE_KEY: "",
  FACET_HOME: join(home, "facet"),
});
