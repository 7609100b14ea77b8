// When the pieces of an answer came, in as many slots of time as there is room for.

export interface Beat {
  offset_us: number;
  bytes: number;
}

export interface Slot {
  pieces: number;
  bytes: number;
}

/** Counts pieces and bytes in `count` equal slots from the request to the last piece. */
export function rhythm(beats: Beat[], count: number): { slots: Slot[]; lastUs: number; firstUs: number } {
  const slots: Slot[] = Array.from({ length: count }, () => ({ pieces: 0, bytes: 0 }));
  let lastUs = 0;
  let firstUs = Number.POSITIVE_INFINITY;
  for (const { offset_us } of beats) {
    lastUs = Math.max(lastUs, offset_us);
    firstUs = Math.min(firstUs, offset_us);
  }
  for (const beat of beats) {
    const slot = slots[Math.min(count - 1, Math.floor((beat.offset_us / Math.max(lastUs, 1)) * count))];
    if (!slot) continue;
    slot.pieces++;
    slot.bytes += beat.bytes;
  }
  return { slots, lastUs, firstUs: Number.isFinite(firstUs) ? firstUs : 0 };
}
