// An image to send: a seven, drawn here.

import { crc32, deflateSync } from 'node:zlib';

const SIDE = 28;

/** A seven as a grey PNG, light on dark. */
export function seven() {
  const rows = Buffer.alloc(SIDE * (SIDE + 1)); // each row begins with its filter: none
  const dot = (x, y) => rows.fill(255, y * (SIDE + 1) + 1 + x, y * (SIDE + 1) + 4 + x);
  for (let x = 7; x < 20; x++) {
    [6, 7].forEach((y) => dot(x, y));
  }
  for (let y = 8; y < 23; y++) {
    dot(Math.round(20 - (y - 8) * 0.6), y);
  }
  const header = Buffer.from([0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 0, 0, 0, 0]);
  return new File([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0)),
  ], 'seven.png', { type: 'image/png' });
}

function chunk(type, body) {
  const typed = Buffer.concat([Buffer.from(type), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, sum]);
}
