// A program with OpenAI's SDK, as somebody writes it who has never heard of Keyward.
import OpenAI from "openai";

const [model, how] = process.argv.slice(2);
const messages = [{ role: "user", content: "hello" }];
const client = new OpenAI();
if (how === "stream") {
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    process.stdout.write(chunk.choices[0].delta.content);
  }
} else {
  console.log((await client.chat.completions.create({ model, messages })).choices[0].message.content);
}
