// A program with Anthropic's SDK, as somebody writes it who has never heard of Keyward.
import Anthropic from "@anthropic-ai/sdk";

const [model, how] = process.argv.slice(2);
const hello = { model, max_tokens: 256, messages: [{ role: "user", content: "hello" }] };
const client = new Anthropic();
if (how === "stream") {
  const stream = client.messages.stream(hello).on("text", (text) => process.stdout.write(text));
  await stream.finalMessage();
} else {
  console.log((await client.messages.create(hello)).content[0].text);
}
