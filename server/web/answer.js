// What the model answered: the likeliest class and bars for all, or the values of a regression.

import { MANY_CLASSES, allClasses } from './api.js';
import { asTrouble, showTrouble } from './trouble.js';

/** So many classes stand in the model's order; of more, the likeliest stand first. */
const IN_ORDER = MANY_CLASSES - 1;
const LIKELIEST = 10;

/**
 * Fills an element with an answer. Bars that were there before move to their new length.
 * @param {HTMLElement} element
 * @param {object} prediction with the fields of the fragment Answer
 */
export function showAnswer(element, prediction) {
  const { classes, values } = prediction;
  if (classes?.length) {
    showClasses(element, prediction);
  } else if (values) {
    element.replaceChildren(reading(values.map(number).join(' · '), ''));
  } else {
    element.replaceChildren(tensors(prediction.outputs));
  }
}

/** Fills an element with what an answer will look like: a row for each class, and no bar yet. */
export function showNoAnswer(element, classNames) {
  const rows = classNames.length <= IN_ORDER ? classNames.map((name, index) => ({ index, name })) : [];
  element.replaceChildren(reading('?', ''), bars(rows));
  element.firstChild.setAttribute('aria-hidden', 'true');
  element.dataset.waiting = '';
}

/** The answer in one spoken sentence. */
export function spokenAnswer({ classes, values, outputs }) {
  if (classes?.length) {
    return `Answer: ${classes[0].name}, ${percent(classes[0].confidence)}.`;
  }
  return values ? `Answer: ${values.map(number).join(', ')}.` : `Answer: ${outputs.length} ${outputs.length === 1 ? 'tensor' : 'tensors'}.`;
}

/** A prediction in two short texts, for lists: what it is, and how sure. */
export function shortAnswer({ likelyClass, values }) {
  if (likelyClass) {
    return [likelyClass.name, percent(likelyClass.confidence)];
  }
  return [values ? values.slice(0, 2).map(number).join(' · ') : '–', ''];
}

function showClasses(element, { id, classes }) {
  const [likeliest] = classes;
  const many = classes.length > IN_ORDER;
  const rows = many ? classes.slice(0, LIKELIEST) : classes.toSorted((a, b) => a.index - b.index);
  const old = element.querySelector('.bars');
  const kept = old && sameClasses(old, rows) ? old : bars(rows);
  delete element.dataset.waiting;
  element.replaceChildren(reading(likeliest.name, percent(likeliest.confidence)), kept);
  if (many) {
    element.append(moreClasses(element, id));
  }
  // Bars that are new have no length to grow from before they have been laid out.
  void kept.offsetWidth;
  fill(kept, rows, likeliest.index);
}

function reading(text, certainty) {
  const p = document.createElement('p');
  p.className = 'reading';
  p.append(span('reading-text', text), span('reading-certainty', certainty));
  p.classList.toggle('long', text.length > 3);
  return p;
}

function bars(rows) {
  const list = document.createElement('ul');
  list.className = 'bars';
  list.setAttribute('role', 'list'); // which Safari forgets where there are no bullets
  list.setAttribute('aria-label', 'Score of each class');
  for (const { index, name } of rows) {
    const item = document.createElement('li');
    item.dataset.index = index;
    const bar = span('bar', '');
    bar.setAttribute('aria-hidden', 'true');
    item.append(span('name', name), bar, span('value', ''));
    list.append(item);
  }
  return list;
}

function fill(list, rows, likeliest) {
  rows.forEach(({ index, confidence }, i) => {
    const item = list.children[i];
    item.classList.toggle('likeliest', index === likeliest);
    item.querySelector('.bar').style.setProperty('--share', String(confidence));
    item.querySelector('.value').textContent = percent(confidence);
  });
}

function sameClasses(list, rows) {
  return list.children.length === rows.length &&
    rows.every(({ index, name }, i) =>
      list.children[i].dataset.index === String(index) && list.children[i].firstChild.textContent === name);
}

function moreClasses(element, id) {
  const box = document.createElement('div');
  const trouble = document.createElement('div');
  trouble.setAttribute('role', 'alert');
  trouble.className = 'trouble';
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Show every class';
  button.addEventListener('click', async () => {
    showTrouble(trouble, null);
    try {
      const rows = await allClasses(id);
      const list = bars(rows);
      list.tabIndex = -1;
      element.querySelector('.bars').replaceWith(list);
      fill(list, rows, rows[0].index);
      list.focus();
      box.remove();
    } catch (error) {
      showTrouble(trouble, asTrouble(error));
    }
  });
  box.append(button, trouble);
  return box;
}

function tensors(outputs) {
  const list = document.createElement('ul');
  list.className = 'tensors';
  for (const { name, datatype, shape } of outputs) {
    const item = document.createElement('li');
    item.textContent = `${name}: ${datatype} [${shape.join(', ')}]`;
    list.append(item);
  }
  return list;
}

function span(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}

/** `99.8%`; what is nearly certain is not told to be certain. */
function percent(share) {
  if (share > 0.9995 && share < 1) {
    return '>99.9%';
  }
  return `${(share * 100).toFixed(1)}%`;
}

function number(value) {
  return value.toLocaleString('en', { maximumSignificantDigits: 5 });
}
