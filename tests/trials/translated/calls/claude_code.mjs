// Claude Code, which is asked one thing.
import { spawnSync } from "node:child_process";

const [base, token, model] = process.argv.slice(2);
const command = ["-p", "time people", "--output-format", "json", "--model", `lossy-${model}`];
const done = spawnSync("node_modules/.bin/claude", command, {
  encoding: "utf8",
  timeout: 500_000,
  env: {
    ...process.env,
    ANTHROPIC_BASE_URL: base,
    ANTHROPIC_AUTH_TOKEN: token,
    ANTHROPIC_API_KEY: "",
    ANTHROPIC_SMALL_FAST_MODEL: `lossy-${model}`,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  },
});
if (done.status !== 0) {
  console.error(done.error ?? "", done.stdout, done.stderr);
  process.exit(1);
}
const said = JSON.parse(done.stdout);
if (said.is_error) throw new Error(said.result);
console.log(JSON.stringify({ text: said.result, stream: said.result }));
