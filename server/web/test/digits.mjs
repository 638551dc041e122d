// Digits as strokes on a sheet of 280 × 280, and the ways in which they come to the page.

export const STROKES = {
  2: [[[85, 95], [110, 60], [140, 52], [170, 62], [188, 95], [165, 140], [90, 220], [200, 220]]],
  3: [[[90, 75], [140, 55], [185, 75], [180, 110], [130, 135], [180, 150], [195, 190], [150, 225], [90, 210]]],
  4: [[[150, 55], [80, 160], [205, 160]], [[165, 110], [165, 230]]],
  7: [[[75, 70], [200, 70], [185, 110], [150, 170], [125, 225]]],
};

/** Draws a digit on the paper with the mouse. */
export async function drawByMouse(page, digit) {
  for (const stroke of await placed(page, digit)) {
    await page.mouse.move(stroke[0].x, stroke[0].y);
    await page.mouse.down();
    for (const { x, y } of stroke.slice(1)) {
      await page.mouse.move(x, y, { steps: 5 });
    }
    await page.mouse.up();
  }
}

/** Draws a digit on the paper with a finger. */
export async function drawByTouch(page, digit) {
  const client = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => client.send('Input.dispatchTouchEvent', { type, touchPoints });
  for (const stroke of await placed(page, digit)) {
    await touch('touchStart', [stroke[0]]);
    for (const point of stroke.slice(1)) {
      await touch('touchMove', [point]);
    }
    await touch('touchEnd', []);
  }
}

/** A PNG of a digit, thin and off the centre, as bytes. */
export async function picture(page, digit) {
  const base64 = await page.evaluate((strokes) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [200, 320];
    const context = canvas.getContext('2d');
    context.fillStyle = '#f4f0e8';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.lineWidth = 16;
    context.lineCap = context.lineJoin = 'round';
    context.strokeStyle = '#203060';
    context.scale(0.6, 0.6);
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y + 150) : context.lineTo(x, y + 150)));
      context.stroke();
    }
    return canvas.toDataURL('image/png').split(',')[1];
  }, STROKES[digit]);
  return Buffer.from(base64, 'base64');
}

async function placed(page, digit) {
  const box = await page.locator('#paper').boundingBox();
  const scale = box.width / 280;
  return STROKES[digit].map((stroke) => stroke.map(([x, y]) => ({ x: box.x + x * scale, y: box.y + y * scale })));
}
