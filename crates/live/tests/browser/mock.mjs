// The driver against the page's mock server (its packages must be installed): `node mock.mjs [driver arguments]`.
import { spawn } from "node:child_process";
import { serve } from "../../page/mock/server.mjs";
import { REPORT } from "../../page/mock/texts.mjs";

const mock = await serve({ sections: REPORT });
const driver = spawn(process.execPath, [new URL("driver.mjs", import.meta.url).pathname, "--base", mock.url, "--doc", mock.id, ...process.argv.slice(2)], { stdio: "inherit" });
driver.on("close", async (code) => {
  await mock.close();
  process.exitCode = code ?? 1;
});
