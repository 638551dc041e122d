// The server's GraphQL API, as this page uses it.

import { askForKey, keyHeaders } from './key.js';
import { Trouble, networkTrouble, troubleOf } from './trouble.js';

/** So many classes are asked for at once; one more than are shown in full, to see whether there are more. */
export const MANY_CLASSES = 21;

const ANSWER = `
  fragment Answer on Prediction {
    id
    createdAt
    model { name version }
    classes(top: ${MANY_CLASSES}) { index name confidence }
    values
    outputs { name datatype shape }
    timing { decode queue inference }
  }`;

const PREDICT = `
  mutation Predict($image: Upload!, $model: String) {
    predict(image: $image, model: $model) { ...Answer }
  }${ANSWER}`;

const LATEST = `
  query Latest($first: Int!, $after: String) {
    predictions(first: $first, after: $after) {
      nodes {
        id
        createdAt
        model { name }
        likelyClass { name confidence }
        values
        input { image { thumbnail(size: 160) } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }`;

const DETAIL = `
  query Detail($id: ID!) {
    prediction(id: $id) {
      ...Answer
      input { filename image { contentType width height byteSize url } }
    }
  }${ANSWER}`;

const ALL_CLASSES = `
  query AllClasses($id: ID!) {
    prediction(id: $id) { classes(top: 1000) { index name confidence } }
  }`;

const MODELS = `{ models { name serving { version classNames } } }`;

/**
 * Sends an image and returns its prediction.
 * @param {Blob} image
 * @param {{model?: string, filename?: string, signal?: AbortSignal}} options
 */
export async function predict(image, { model, filename, signal }) {
  // As the GraphQL multipart request specification has it: the operation, the map, then the file.
  const form = new FormData();
  form.append('operations', JSON.stringify({ query: PREDICT, variables: { image: null, model } }));
  form.append('map', JSON.stringify({ 0: ['variables.image'] }));
  form.append('0', image, filename ?? '');
  return (await send(form, { 'GraphQL-Require-Preflight': '1' }, signal)).predict;
}

/** A page of the latest predictions: `{nodes, pageInfo}`. */
export async function latest(first, after) {
  return (await query(LATEST, { first, after })).predictions;
}

/** One prediction with what is known of its image. */
export async function detail(id, signal) {
  return (await query(DETAIL, { id }, signal)).prediction;
}

/** The classes of a prediction, likeliest first, as many as the API gives. */
export async function allClasses(id) {
  return (await query(ALL_CLASSES, { id })).prediction.classes;
}

/** The models and the classes of the version that serves. */
export async function models() {
  return (await query(MODELS)).models;
}

function query(text, variables, signal) {
  const body = JSON.stringify({ query: text, variables });
  return send(body, { 'Content-Type': 'application/json' }, signal);
}

/**
 * Gives an image element its source: the URL, or where the server wants a key, which elements send none of, the bytes.
 * @param {HTMLImageElement} element
 * @param {string} url
 */
export async function showImage(element, url) {
  const headers = keyHeaders();
  if (!headers.Authorization) {
    element.src = url;
    return;
  }
  try {
    const response = await fetch(url, { headers });
    const bytes = URL.createObjectURL(await response.blob());
    for (const end of ['load', 'error']) {
      element.addEventListener(end, () => URL.revokeObjectURL(bytes), { once: true });
    }
    element.src = bytes;
  } catch {
    element.dispatchEvent(new Event('error'));
  }
}

/**
 * Returns the data, or throws a Trouble; an AbortError where the signal said so. Where the server wants a key, it is
 * asked for.
 */
async function send(body, headers, signal) {
  const key = keyHeaders();
  try {
    return await sendOnce(body, { ...headers, ...key }, signal);
  } catch (error) {
    if (error.code !== 'UNAUTHENTICATED' || !await askForKey(key) || signal?.aborted) {
      throw error;
    }
  }
  return send(body, headers, signal);
}

async function sendOnce(body, headers, signal) {
  let response;
  let text;
  try {
    response = await fetch('/graphql', {
      method: 'POST',
      headers: { Accept: 'application/graphql-response+json', ...headers },
      body,
      signal,
    });
    text = await response.text();
  } catch (error) {
    throw error.name === 'AbortError' ? error : networkTrouble();
  }
  const answer = parse(text);
  if (answer?.errors?.length) {
    throw troubleOf(answer.errors[0]);
  }
  if (!answer?.data) {
    // A proxy in between, for example.
    throw new Trouble('The server gave no proper answer.', `HTTP status ${response.status}.`, { retry: true });
  }
  return answer.data;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
