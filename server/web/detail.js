// One prediction in a dialog. The address tells which: `#prediction_…`, so a link to it can be kept and sent.

import { detail, showImage } from './api.js';
import { showAnswer } from './answer.js';
import { asTrouble, showTrouble } from './trouble.js';
import { timeElement } from './time.js';

/** The dialog that follows the address. */
export class Detail {
  #dialog = document.getElementById('detail');
  #body = document.getElementById('detail-body');
  #trouble = document.getElementById('detail-trouble');
  #linkOf;
  #loading = null;
  #shown = null;

  /** @param {(id: string) => HTMLElement | null} linkOf the link that focus returns to */
  constructor(linkOf) {
    this.#linkOf = linkOf;
    addEventListener('hashchange', () => this.follow());
    document.getElementById('detail-close').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) {
        this.#dialog.close(); // beside the dialog
      }
    });
    this.#dialog.addEventListener('close', () => this.#closed());
  }

  /** Opens what the address names, or closes the dialog where it names nothing. */
  follow() {
    const id = location.hash.slice(1);
    if (!id.startsWith('prediction_')) {
      this.#dialog.close();
      return;
    }
    this.#show(id);
  }

  async #show(id) {
    this.#shown = id;
    this.#loading?.abort();
    const { signal } = (this.#loading = new AbortController());
    showTrouble(this.#trouble, null);
    this.#body.replaceChildren();
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
    try {
      const prediction = await detail(id, signal);
      this.#body.replaceChildren(picture(prediction), facts(prediction));
      showAnswer(this.#body.querySelector('.answer'), prediction);
    } catch (error) {
      if (error.name !== 'AbortError') {
        showTrouble(this.#trouble, asTrouble(error), () => this.#show(id));
      }
    }
  }

  #closed() {
    this.#loading?.abort();
    if (location.hash) {
      history.replaceState(null, '', location.pathname);
    }
    this.#linkOf(this.#shown)?.focus();
  }
}

function picture({ input: { filename, image }, classes }) {
  const figure = document.createElement('figure');
  if (image.url) {
    const img = document.createElement('img');
    img.alt = classes?.length ? `The image that was read as ${classes[0].name}` : 'The image';
    img.width = image.width;
    img.height = image.height;
    // A picture of a few pixels is shown as such.
    img.classList.toggle('tiny', Math.max(image.width, image.height) <= 64);
    img.addEventListener('error', () => img.replaceWith('This browser cannot show this kind of image.'));
    showImage(img, image.url);
    figure.append(img);
  } else {
    figure.append('The image is no longer kept.');
  }
  const caption = document.createElement('figcaption');
  const kind = image.contentType.replace('image/', '').toUpperCase();
  caption.textContent = `${image.width} × ${image.height} · ${kind} · ${size(image.byteSize)}`;
  if (filename) {
    const name = document.createElement('bdi'); // whoever sent it may have turned its direction
    name.textContent = filename;
    caption.prepend(name, ' · ');
  }
  figure.append(caption);
  return figure;
}

function facts({ id, createdAt, model, timing }) {
  const box = document.createElement('div');
  const answer = document.createElement('div');
  answer.className = 'answer';
  const list = document.createElement('dl');
  list.append(
    ...fact('When', timeElement(createdAt, { long: true })),
    ...fact('Model', `${model.name}, version ${model.version}`),
    ...fact('Took', `${duration(timing.decode + timing.queue + timing.inference)}: decoding ${duration(timing.decode)}, ` +
      `waiting ${duration(timing.queue)}, model ${duration(timing.inference)}`),
    ...fact('ID', code(id)),
  );
  box.append(answer, list);
  return box;
}

function fact(name, value) {
  const term = document.createElement('dt');
  term.textContent = name;
  const description = document.createElement('dd');
  description.append(value);
  return [term, description];
}

function code(text) {
  const element = document.createElement('code');
  element.textContent = text;
  return element;
}

function duration(milliseconds) {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

function size(bytes) {
  if (bytes < 1024) {
    return `${bytes} bytes`;
  }
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
