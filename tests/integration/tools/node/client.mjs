// An MCP host: makes calls one after the other, and answers what it is asked.
//
//     node client.mjs COMMAND ARGUMENTS... < a line of JSON: {"calls": [[tool, arguments]...], "allow": true}
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const place = pathToFileURL(`${process.env.MCP_PACKAGES}/node_modules/@modelcontextprotocol/sdk/dist/esm/`);
const { Client } = await import(new URL("client/index.js", place));
const { StdioClientTransport } = await import(new URL("client/stdio.js", place));
const { ElicitRequestSchema } = await import(new URL("types.js", place));

const [line] = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next().then((it) => [it.value]);
const { calls, allow } = JSON.parse(line);
const capabilities = allow === undefined ? {} : { elicitation: {} };
const client = new Client({ name: "host", version: "1" }, { capabilities });
const asked = [];
if (allow !== undefined) {
  client.setRequestHandler(ElicitRequestSchema, async (request) => {
    asked.push(request.params.message);
    return { action: "accept", content: { allow } };
  });
}
const [command, ...args] = process.argv.slice(2);
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" }));
const { tools } = await client.listTools();
const results = [];
for (const [name, given] of calls) {
  results.push(await client.callTool({ name, arguments: given }));
}
await client.close();
console.log(JSON.stringify({ server: client.getServerVersion(), tools, results, asked }));
