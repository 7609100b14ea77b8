import type { Part } from "../lib/words";
import { Visible } from "./Visible";

export function Sentence({ parts }: { parts: Part[] }) {
  return parts.map((part, index) => (part.theirs ? <Visible key={index} text={part.text} /> : part.text));
}
