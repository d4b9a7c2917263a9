// Codex, which is asked one thing.
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [base, token, model] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), "codex-"));
writeFileSync(join(home, "config.toml"), `
model = "to-${model}"
model_provider = "gateway"
web_search = "disabled"
[model_providers.gateway]
name = "gateway"
base_url = "${base}/v1"
env_key = "GATEWAY_TOKEN"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`);
const command = ["exec", "--json", "--skip-git-repo-check", "--sandbox", "read-only", "time people"];
const done = spawnSync("node_modules/.bin/codex", command, {
  encoding: "utf8",
  timeout: 500_000,
  input: "",
  env: { ...process.env, CODEX_HOME: home, GATEWAY_TOKEN: token },
});
const events = (done.stdout ?? "").split("\n").filter((line) => line.startsWith("{")).map(JSON.parse);
const said = events.findLast((event) => event.item?.type === "agent_message")?.item.text;
if (done.status !== 0 || !said) {
  console.error(done.error ?? "", done.stdout, done.stderr);
  process.exit(1);
}
console.log(JSON.stringify({ text: said, stream: said }));
