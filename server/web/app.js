// The page: what is drawn or given is asked about, the answer is shown, and the latest list follows.

import { predict } from './api.js';
import { showAnswer, showNoAnswer, spokenAnswer } from './answer.js';
import { Detail } from './detail.js';
import { Drawing } from './drawing.js';
import { takeFiles } from './intake.js';
import { Latest } from './latest.js';
import { Models } from './models.js';
import { asTrouble, showTrouble } from './trouble.js';

/** After a stroke so many milliseconds are left for the next one to begin. */
const PAUSE = 250;

const $ = (id) => document.getElementById(id);
const [answer, status, record, trouble] = ['answer', 'status', 'record', 'trouble'].map($);

const drawing = new Drawing($('paper'), { onStart: strokeBegan, onEnd: askSoon });
const models = new Models(changedModel);
const latest = new Latest();
const detail = new Detail((id) => latest.link(id));

let file = null; // what was given, in place of a drawing
let pause = 0; // the timer that asks
let asking = null; // the AbortController of the question that is on its way

takeFiles({ onFile: give, onNothing: fail });
$('undo').addEventListener('click', undo);
$('clear').addEventListener('click', clear);
document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === 'z' && !$('detail').open) {
    event.preventDefault();
    undo();
  }
});
// What failed for want of a network is tried again when it is back.
addEventListener('online', start);

tellState();
start();
detail.follow();

async function start() {
  latest.refresh();
  try {
    await models.load();
    tellModel();
    if (trouble.hasChildNodes()) {
      hush();
      ask();
    }
  } catch (error) {
    fail(asTrouble(error), start);
  }
}

function strokeBegan() {
  hush();
  if (file) {
    putAway();
  }
  tellState(true);
}

/** A file was chosen, dropped or pasted. */
function give(given) {
  hush();
  drawing.clear();
  putAway();
  file = given;
  const preview = $('preview');
  preview.src = URL.createObjectURL(given);
  preview.alt = `The image ${given.name}`;
  preview.hidden = false;
  // Not every browser shows every kind of image that the server reads; then its name stands there.
  preview.onerror = () => { preview.hidden = true; };
  $('filename').textContent = given.name;
  $('filename').hidden = false;
  tellState();
  ask();
}

/** Takes the given file off the paper. */
function putAway() {
  file = null;
  const preview = $('preview');
  URL.revokeObjectURL(preview.src);
  preview.onerror = null;
  preview.removeAttribute('src');
  preview.hidden = true;
  $('filename').hidden = true;
}

function undo() {
  hush();
  if (file) {
    clear();
    return;
  }
  drawing.undo();
  if (drawing.isEmpty) {
    clear();
    return;
  }
  tellState();
  askSoon();
}

function clear() {
  if (isEmpty()) {
    return;
  }
  hush();
  drawing.clear();
  putAway();
  forget();
  tellState();
  status.textContent = 'Cleared.';
}

function changedModel() {
  hush();
  forget();
  if (!isEmpty()) {
    ask();
  }
}

/** Stops what was going to be asked, or is: its answer would be an old one. */
function hush() {
  clearTimeout(pause);
  asking?.abort();
  asking = null;
  answer.removeAttribute('aria-busy');
  showTrouble(trouble, null);
}

function askSoon() {
  tellState();
  clearTimeout(pause);
  pause = setTimeout(ask, PAUSE);
}

async function ask() {
  if (isEmpty()) {
    return;
  }
  hush();
  const { signal } = (asking = new AbortController());
  answer.setAttribute('aria-busy', 'true');
  try {
    const image = file ?? await drawing.toBlob();
    const prediction = await predict(image, { model: models.name, filename: file?.name ?? 'drawing.png', signal });
    if (signal.aborted) {
      return;
    }
    showAnswer(answer, prediction);
    status.textContent = spokenAnswer(prediction);
    tellRecord(prediction);
    latest.refresh();
  } catch (error) {
    if (!signal.aborted) {
      forget();
      fail(asTrouble(error), ask);
    }
  } finally {
    if (!signal.aborted) {
      answer.removeAttribute('aria-busy');
    }
  }
}

function fail(what, retry) {
  showTrouble(trouble, what, retry);
  status.textContent = '';
}

/** Takes the last answer away: it is none to what is on the paper now. */
function forget() {
  showNoAnswer(answer, models.classNames);
  status.textContent = '';
  record.replaceChildren();
}

function tellRecord({ id, model }) {
  const link = document.createElement('a');
  link.href = `#${id}`;
  link.textContent = 'the record';
  record.replaceChildren(`Read by ${model.name}, version ${model.version}, and written down: `, link, '.');
}

function tellModel() {
  const digits = models.classNames.length === 10 && models.classNames.every((name, i) => name === String(i));
  $('invitation').textContent =
    `${digits ? 'Draw a digit' : 'Draw'}, or give her an image. She answers at once, and writes down what she saw.`;
  if (isEmpty() || !record.hasChildNodes()) {
    showNoAnswer(answer, models.classNames);
  }
}

function tellState(drawingNow = false) {
  const empty = isEmpty() && !drawingNow;
  $('hint').hidden = !empty;
  // Not `disabled`: that would take the focus from who has just pressed it.
  $('undo').setAttribute('aria-disabled', String(empty));
  $('clear').setAttribute('aria-disabled', String(empty));
}

function isEmpty() {
  return !file && drawing.isEmpty;
}
