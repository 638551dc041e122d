// Drawing on paper with mouse, pen or finger.

/** Side of the picture that is sent, in pixels; strokes are kept in its coordinates. */
const SIDE = 280;
const PEN = 19;

/** A sheet of paper: a canvas that remembers its strokes. */
export class Drawing {
  #canvas;
  #strokes = [];
  #pointer = null;
  #painting = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{onStart: () => void, onEnd: () => void}} events a stroke began; a stroke ended
   */
  constructor(canvas, { onStart, onEnd }) {
    this.#canvas = canvas;
    canvas.addEventListener('pointerdown', (event) => {
      // One pen at a time: a second finger, or the right button, draws nothing.
      if (this.#pointer !== null || event.button !== 0) {
        return;
      }
      this.#pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      onStart();
      this.#strokes.push([this.#place(event)]);
      this.#paintSoon();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.pointerId !== this.#pointer) {
        return;
      }
      // What the browser put together into one event is still several points of the line.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length > 0 ? events : [event]) {
        this.#strokes.at(-1).push(this.#place(each));
      }
      this.#paintSoon();
    });
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId === this.#pointer) {
          this.#pointer = null;
          onEnd();
        }
      });
    }
    // Safari scrolls by touches whatever the pointer events say.
    canvas.addEventListener('touchstart', (event) => event.preventDefault(), { passive: false });
    new ResizeObserver(() => this.#paintSoon()).observe(canvas);
    document.addEventListener('themechange', () => this.#paintSoon());
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  /** Takes the last stroke away. */
  undo() {
    this.#strokes.pop();
    this.#paintSoon();
  }

  /** Takes every stroke away. */
  clear() {
    this.#strokes = [];
    this.#paintSoon();
  }

  /** The drawing as a PNG: dark ink on white paper, whatever it looks like here. */
  toBlob() {
    const sheet = document.createElement('canvas');
    sheet.width = sheet.height = SIDE;
    const context = sheet.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, SIDE, SIDE);
    write(context, this.#strokes, '#000');
    return new Promise((resolve, reject) => {
      sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The drawing cannot be made a picture'))), 'image/png');
    });
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
    };
  }

  #paintSoon() {
    cancelAnimationFrame(this.#painting);
    this.#painting = requestAnimationFrame(() => {
      const canvas = this.#canvas;
      const side = Math.round(canvas.clientWidth * devicePixelRatio);
      canvas.width = canvas.height = side;
      const context = canvas.getContext('2d');
      context.scale(side / SIDE, side / SIDE);
      write(context, this.#strokes, getComputedStyle(canvas).color);
    });
  }
}

function write(context, strokes, ink) {
  context.strokeStyle = ink;
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = 'round';
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0].x, stroke[0].y);
    // Curves from middle to middle round the corners that a few points leave.
    for (let i = 1; i < stroke.length - 1; i++) {
      const [here, next] = [stroke[i], stroke[i + 1]];
      context.quadraticCurveTo(here.x, here.y, (here.x + next.x) / 2, (here.y + next.y) / 2);
    }
    const last = stroke.at(-1);
    context.lineTo(last.x, last.y);
    context.stroke();
  }
}
