import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file as the server has it. */
export interface ServedFile {
  readonly bytes: Buffer;
  /** Stored apart from git, and served by another host, as Hugging Face does with large files. */
  readonly large?: boolean;
}

/** What may go wrong with one request. */
export interface Misfortune {
  /** Requests it happens to: by the path that they ask for. */
  readonly path: RegExp;
  /** How many times. Default: always. */
  times?: number;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfter?: number;
  /** The answer stops, but the connection stays, after so many bytes. */
  readonly stallAfter?: number;
  /** The whole file comes, whatever part of it was asked for. */
  readonly ignoreRange?: boolean;
  /** Other bytes than it should be, as many. */
  readonly corrupt?: boolean;
}

export interface Asked {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/**
 * A service that behaves like Hugging Face and Kaggle: an API, small files served by itself, and large ones by a
 * second host that it redirects to.
 */
export interface HubServer {
  readonly url: string;
  readonly cdn: string;
  /** Every request that came, in order. */
  readonly asked: Asked[];
  readonly misfortunes: Misfortune[];
  /** A repository's files at a commit; `main` leads to the newest. */
  publish(repository: string, files: Record<string, ServedFile | string>): string;
  /** Answers 401 without an Authorization header, 403 with another than this, for the files of a repository or a path. */
  gate(repositoryOrPath: string, authorization: string): void;
  /** Something at a path of its own; what is large is served by the second host. */
  serve(path: string, file: ServedFile | string, headers?: Record<string, string>): void;
  close(): Promise<void>;
}

export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
export const gitSha = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

type Commit = ReadonlyMap<string, ServedFile>;

export async function hubServer(): Promise<HubServer> {
  const commits = new Map<string, Commit>();
  const heads = new Map<string, string>();
  const gates = new Map<string, string>();
  const pages = new Map<string, { file: ServedFile; headers: Record<string, string> }>();
  const blobs = new Map<string, { bytes: Buffer; headers: Record<string, string> }>();
  const asked: Asked[] = [];
  const misfortunes: Misfortune[] = [];

  function take(path: string): Misfortune | undefined {
    const found = misfortunes.find((one) => one.path.test(path) && (one.times ?? 1) > 0);
    if (found?.times !== undefined) found.times--;
    return found;
  }

  const service = createServer((request, response) => {
    const path = note(request);
    const misfortune = take(path);
    if (misfortune?.status !== undefined) return refuse(response, misfortune);
    const page = pages.get(path.split("?")[0]!);
    if (page !== undefined) {
      const gate = gates.get(path.split("?")[0]!);
      if (gate !== undefined && request.headers.authorization !== gate) {
        return refuse(response, { status: request.headers.authorization ? 403 : 401 });
      }
      if (page.file.large !== true) {
        return give(request, response, page.file, misfortune, page.headers);
      }
      response.writeHead(302, {
        location: `${addressOf(storage, "localhost")}/${sha256(page.file.bytes)}?x`,
      });
      return response.end();
    }
    const route =
      /^\/api\/(?<type>model|dataset)s\/(?<name>[^/]+\/[^/]+)\/(?<what>revision|tree)\/(?<at>[^/?]+)/.exec(
        path,
      )?.groups ??
      /^\/(?<type>datasets\/)?(?<name>[^/]+\/[^/]+)\/resolve\/(?<at>[^/]+)\/(?<file>[^?]+)/.exec(
        path,
      )?.groups;
    if (route === undefined) return refuse(response, { status: 404 });
    const repository = `${route.type?.startsWith("dataset") ? "datasets/" : ""}${route.name}`;
    const revision = decodeURIComponent(route.at!);
    if (!heads.has(repository)) {
      // Who is not logged in is not told whether there is such a repository.
      const status = request.headers.authorization === undefined ? 401 : 404;
      return refuse(response, { status, headers: { "x-error-code": "RepoNotFound" } });
    }
    const sha = /^(main|HEAD)$/.test(revision) ? heads.get(repository)! : revision;
    const commit = commits.get(`${repository}@${sha}`);
    if (commit === undefined) {
      return refuse(response, { status: 404, headers: { "x-error-code": "RevisionNotFound" } });
    }
    if (route.what === "revision") {
      return json(response, {
        _id: "1",
        id: route.name,
        sha,
        private: false,
        downloads: 1,
        likes: 1,
        lastModified: new Date(0),
      });
    }
    if (route.what === "tree") return listTree(request, response, path, commit);
    const gate = gates.get(repository);
    if (gate !== undefined && request.headers.authorization !== gate) {
      const status = request.headers.authorization === undefined ? 401 : 403;
      return refuse(response, {
        status,
        headers: {
          "x-error-code": "GatedRepo",
          "x-error-message": `Access to model ${route.name} is restricted.`,
        },
      });
    }
    const file = commit.get(decodeURIComponent(route.file!));
    if (file === undefined) {
      return refuse(response, { status: 404, headers: { "x-error-code": "EntryNotFound" } });
    }
    if (file.large !== true) {
      return give(request, response, file, misfortune, {
        etag: `"${gitSha(file.bytes)}"`,
        "x-repo-commit": sha,
      });
    }
    response.writeHead(302, {
      location: `${addressOf(storage, "localhost")}/${sha256(file.bytes)}?signature=x`,
      "x-linked-etag": `"${sha256(file.bytes)}"`,
      "x-linked-size": file.bytes.length,
      "x-repo-commit": sha,
    });
    return response.end();
  });

  const storage = createServer((request, response) => {
    const path = note(request);
    const blob = blobs.get(path.slice(1).split("?")[0]!);
    const misfortune = take(path);
    if (misfortune?.status !== undefined) return refuse(response, misfortune);
    if (blob === undefined) return refuse(response, { status: 403 });
    give(request, response, blob, misfortune, blob.headers);
  });

  function store(bytes: Buffer, headers: Record<string, string>): void {
    const sha = sha256(bytes);
    blobs.set(sha, { bytes, headers: { etag: `"cdn-${sha.slice(0, 8)}"`, ...headers } });
  }

  function note(request: IncomingMessage): string {
    const path = request.url ?? "/";
    const { method = "", headers } = request;
    asked.push({ method, host: headers.host ?? "", path, headers });
    return path;
  }

  /** Two files a page, and a link to the next. */
  function listTree(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    commit: Commit,
  ): void {
    const url = new URL(path, addressOf(service));
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const entries = [...commit].map(([file, { bytes, large }]) => ({
      type: "file",
      path: file,
      size: bytes.length,
      oid: large ? gitSha(Buffer.from(sha256(bytes))) : gitSha(bytes),
      ...(large && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }),
    }));
    url.searchParams.set("cursor", `${from + 2}`);
    const more = from + 2 < entries.length;
    json(response, entries.slice(from, from + 2), more ? { link: `<${url}>; rel="next"` } : {});
    request.resume();
  }

  await Promise.all([listening(service), listening(storage)]);
  return {
    url: addressOf(service),
    cdn: addressOf(storage, "localhost"),
    asked,
    misfortunes,
    publish(repository, files) {
      const served = new Map(Object.entries(files).map(([path, file]) => [path, asFile(file)]));
      const contents = [...served].map(([path, { bytes }]) => `${path} ${sha256(bytes)}`);
      const sha = createHash("sha1")
        .update(`${repository}\n${contents.join("\n")}`)
        .digest("hex");
      commits.set(`${repository}@${sha}`, served);
      heads.set(repository, sha);
      for (const { bytes, large } of served.values()) if (large) store(bytes, {});
      return sha;
    },
    gate: (place, authorization) => gates.set(place, authorization),
    serve(path, given, headers = {}) {
      const file = asFile(given);
      pages.set(path, { file, headers });
      if (file.large) store(file.bytes, headers);
    },
    async close() {
      await Promise.all([closed(service), closed(storage)]);
    },
  };
}

const asFile = (file: ServedFile | string): ServedFile =>
  typeof file === "string" ? { bytes: Buffer.from(file) } : file;

function refuse(
  response: ServerResponse,
  { status = 500, headers = {} }: Partial<Misfortune>,
): void {
  response.writeHead(status, headers);
  response.end();
}

function json(response: ServerResponse, value: unknown, headers = {}): void {
  response.writeHead(200, { "content-type": "application/json; charset=utf-8", ...headers });
  response.end(JSON.stringify(value));
}

/** Answers conditions and ranges as RFC 9110 has them. */
function give(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes }: ServedFile,
  misfortune: Misfortune | undefined,
  headers: Record<string, string>,
): void {
  const { "if-none-match": known, "if-range": condition, range } = request.headers;
  if (known !== undefined && known === headers.etag) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  const [, first] = /^bytes=(\d+)-$/.exec(range ?? "") ?? [];
  const isCurrent =
    condition === undefined || condition === (headers.etag ?? headers["last-modified"]);
  const start = first !== undefined && isCurrent && !misfortune?.ignoreRange ? Number(first) : 0;
  if (start > 0 && start >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` });
    response.end();
    return;
  }
  const body = Buffer.from(bytes.subarray(start));
  if (misfortune?.corrupt) body[body.length - 1]! ^= 1;
  response.writeHead(start > 0 ? 206 : 200, {
    "accept-ranges": "bytes",
    "content-length": body.length,
    ...(start > 0 && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    ...headers,
  });
  const end = misfortune?.cutAfter ?? misfortune?.stallAfter;
  if (end === undefined) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, end), () => {
    if (misfortune?.cutAfter !== undefined) response.destroy();
  });
}

const addressOf = (server: Server, host = "127.0.0.1") =>
  `http://${host}:${(server.address() as AddressInfo).port}`;

const listening = (server: Server) =>
  new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  const done = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await done;
}
