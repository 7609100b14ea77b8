// A program with Node's own fetch, which sends again only when it is told to: on 409, after as long as the answer says.
import { setTimeout } from "node:timers/promises";

const [model] = process.argv.slice(2);
const { OPENAI_BASE_URL: url, OPENAI_API_KEY: token } = process.env;
async function ask() {
  const answer = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }] }),
  });
  if (answer.status !== 409) return answer;
  await setTimeout(1000 * answer.headers.get("retry-after"));
  return ask();
}
const answer = await ask();
const body = await answer.json();
if (!answer.ok) throw new Error(`${answer.status} ${body.error.message}`);
console.log(body.choices[0].message.content);
