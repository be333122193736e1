// A server for developing the page without Rust: `node mock.mjs [PORT] [SECTIONS]`.
import { serve } from "./mock/server.mjs";
import { stream } from "./mock/agent.mjs";
import { REPORT, long } from "./mock/texts.mjs";

const [port = 7421, sections] = process.argv.slice(2).map(Number);
const mock = await serve({ sections: sections ? long(sections) : REPORT, port });
console.log(`${mock.url}/doc/${mock.id}`);
const words = "\nThe east mirror iced over at 02:40, a quarter of an hour before the dew point was reached.".split(/(?= )/);
for (;;) {
  await stream(mock, "s4", "writer-1", words, 300).catch((error) => console.log(error.message));
  await new Promise((resolve) => setTimeout(resolve, 8000));
}
