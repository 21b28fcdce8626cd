import type { Command } from "commander";
import { plainCommand, wantsJson } from "./command.js";
import { type Check, runChecks } from "./doctorChecks.js";
import { wrap } from "./layout.js";
import { colours, outputWidth, print, printJson } from "./output.js";

export function doctorCommand(): Command {
  const command = plainCommand({
    name: "doctor",
    description: "Check whether Facet works on this machine, and with what",
    notes: [
      "Exits with code 1 when something that Facet needs does not work.",
      '--json prints {"ok", "checks": [{"name", "ok", "required", "detail"}]}.',
    ],
    examples: ["facet doctor", "facet doctor --json"],
  });
  return command.action(async () => {
    const checks = await runChecks();
    const ok = checks.every((check) => check.ok || !check.required);
    if (wantsJson(command)) printJson({ ok, checks });
    else {
      print(checks.map((check) => line(check, outputWidth())).join("\n"));
      print(ok ? "\nFacet works here." : "\nFacet does not work here; see the lines with ✗.");
    }
    if (!ok) process.exitCode = 1;
  });
}

function line({ name, ok, required, detail }: Check, width: number): string {
  const mark = ok ? colours.green("✓") : required ? colours.red("✗") : colours.dim("–");
  return `${mark} ${wrap(`${name}: ${detail}`, width - 2).join("\n  ")}`;
}
