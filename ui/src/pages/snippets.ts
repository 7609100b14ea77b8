import type { ConnectionView } from "../api/types";

export interface Example {
  name: string;
  text: string;
}

/** How clients are pointed to a connection. `KEYWARD` is the data listener, which only whoever runs the gateway knows. */
export function snippets({ name, kind }: Pick<ConnectionView, "name" | "kind">): Example[] {
  const head =
    "export KEYWARD=http://127.0.0.1:8700   # the data listener\nexport KEYWARD_TOKEN=…                 # your token from the identity provider\n";
  const base = `$KEYWARD/${name}`;
  const bearer = '-H "authorization: Bearer $KEYWARD_TOKEN"';
  const json = "-H 'content-type: application/json'";
  switch (kind) {
    case "anthropic":
      return [
        {
          name: "Environment",
          text: `${head}export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_API_KEY=$KEYWARD_TOKEN`,
        },
        {
          name: "Python",
          text: `import os, anthropic\n\nclient = anthropic.Anthropic(\n    base_url=os.environ["KEYWARD"] + "/${name}",\n    api_key=os.environ["KEYWARD_TOKEN"],\n)`,
        },
        {
          name: "Node",
          text: `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({\n  baseURL: process.env.KEYWARD + "/${name}",\n  apiKey: process.env.KEYWARD_TOKEN,\n});`,
        },
        {
          name: "curl",
          text: `curl ${base}/v1/messages ${bearer} ${json} \\\n  -H 'anthropic-version: 2023-06-01' \\\n  -d '{"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}'`,
        },
      ];
    case "openai":
    case "vllm":
      return [
        { name: "Environment", text: `${head}export OPENAI_BASE_URL=${base}/v1\nexport OPENAI_API_KEY=$KEYWARD_TOKEN` },
        {
          name: "Python",
          text: `import os, openai\n\nclient = openai.OpenAI(\n    base_url=os.environ["KEYWARD"] + "/${name}/v1",\n    api_key=os.environ["KEYWARD_TOKEN"],\n)`,
        },
        {
          name: "Node",
          text: `import OpenAI from "openai";\n\nconst client = new OpenAI({\n  baseURL: process.env.KEYWARD + "/${name}/v1",\n  apiKey: process.env.KEYWARD_TOKEN,\n});`,
        },
        {
          name: "curl",
          text: `curl ${base}/v1/chat/completions ${bearer} ${json} \\\n  -d '{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'`,
        },
      ];
    default:
      return [
        { name: "curl", text: `${head}curl ${base}/… ${bearer}` },
        { name: "Environment", text: `${head}export BASE_URL=${base}` },
      ];
  }
}
