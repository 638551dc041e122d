// Which model is asked.

import { models } from './api.js';

const KEY = 'sibyl.model';
const NO_CLASSES = [];

/** The chooser; it is shown where there is a choice. */
export class Models {
  #field = document.getElementById('model-field');
  #select = document.getElementById('model');
  #models = [];

  /** @param {() => void} onChange another model was chosen */
  constructor(onChange) {
    this.#select.addEventListener('change', () => {
      remember(this.#select.value);
      onChange();
    });
  }

  /** Asks the server for its models. */
  async load() {
    this.#models = await models();
    const wanted = this.#select.value || remembered();
    this.#select.replaceChildren(...this.#models.map(({ name, serving }) => {
      const option = new Option(serving ? name : `${name} (not ready)`, name);
      option.disabled = !serving;
      return option;
    }));
    const ready = this.#models.filter(({ serving }) => serving);
    const chosen = ready.find(({ name }) => name === wanted) ?? ready[0];
    this.#select.value = chosen?.name ?? '';
    this.#field.hidden = this.#models.length < 2;
  }

  /** The model to be named in a request; undefined where there is only one, or none is known yet. */
  get name() {
    return this.#models.length > 1 ? this.#select.value : undefined;
  }

  /** The classes of the model that is asked; empty where they are not known. */
  get classNames() {
    const model = this.#models.find(({ name }) => name === this.#select.value);
    return model?.serving?.classNames ?? NO_CLASSES;
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(name) {
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // Then the choice holds until the page is left.
  }
}
