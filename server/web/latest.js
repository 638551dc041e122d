// The list of the latest predictions.

import { latest } from './api.js';
import { shortAnswer } from './answer.js';
import { asTrouble, showTrouble } from './trouble.js';
import { timeElement } from './time.js';

const PAGE = 12;

/** The list, newest first; older ones come when they are asked for. */
export class Latest {
  #list = document.getElementById('latest');
  #empty = document.getElementById('latest-empty');
  #more = document.getElementById('more');
  #trouble = document.getElementById('latest-trouble');
  #cursor = null;
  #newest = 0;

  constructor() {
    this.#more.addEventListener('click', () => this.#showMore());
  }

  /** Puts in front what is new, from whomever it came. */
  async refresh() {
    const turn = ++this.#newest;
    try {
      const { nodes, pageInfo } = await latest(PAGE, null);
      if (turn !== this.#newest) {
        return; // a later refresh knows more
      }
      const known = new Set([...this.#list.children].map((item) => item.dataset.id));
      // With no overlap there may be a gap between the two: then the list begins anew.
      if (!nodes.some(({ id }) => known.has(id))) {
        this.#list.replaceChildren();
        known.clear();
        this.#turnTo(pageInfo);
      }
      this.#list.prepend(...nodes.filter(({ id }) => !known.has(id)).map(entry));
      this.#empty.hidden = nodes.length > 0;
      showTrouble(this.#trouble, null);
    } catch (error) {
      showTrouble(this.#trouble, asTrouble(error), () => this.refresh());
    }
  }

  /** The link that opens a prediction, where the list has it. */
  link(id) {
    return this.#list.querySelector(`li[data-id="${CSS.escape(id)}"] a`);
  }

  async #showMore() {
    try {
      const { nodes, pageInfo } = await latest(PAGE, this.#cursor);
      const entries = nodes.map(entry);
      this.#list.append(...entries);
      this.#turnTo(pageInfo);
      showTrouble(this.#trouble, null);
      // Who reads on by keyboard goes on where the new ones begin.
      entries[0]?.querySelector('a').focus();
    } catch (error) {
      showTrouble(this.#trouble, asTrouble(error), () => this.#showMore());
    }
  }

  #turnTo({ hasNextPage, endCursor }) {
    this.#cursor = endCursor;
    this.#more.hidden = !hasNextPage;
  }
}

function entry(prediction) {
  const item = document.createElement('li');
  item.dataset.id = prediction.id;
  const link = document.createElement('a');
  link.href = `#${prediction.id}`;
  const [answer, certainty] = shortAnswer(prediction);
  link.append(thumbnail(prediction.input.image), text('answer-short', answer), text('certainty-short', certainty),
    timeElement(prediction.createdAt));
  item.append(link);
  return item;
}

function thumbnail({ thumbnail }) {
  const frame = document.createElement('span');
  frame.className = 'thumbnail';
  if (thumbnail) {
    const image = document.createElement('img');
    image.src = thumbnail;
    image.alt = ''; // the answer beside it says what it is
    frame.append(image);
  }
  return frame;
}

function text(className, content) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = content;
  return element;
}
