// What went wrong, in plain words.

/** An error that is fit to be shown: a line that says what happened, and one that says more. */
export class Trouble extends Error {
  /**
   * @param {string} title
   * @param {string} message
   * @param {{code?: string, retry?: boolean}} [options] retry: the same again may well succeed
   */
  constructor(title, message = '', { code = '', retry = false } = {}) {
    super(message);
    this.title = title;
    this.code = code;
    this.retry = retry;
  }
}

const TITLES = {
  UNSUPPORTED_MEDIA_TYPE: 'This is no image that can be read.',
  INVALID_IMAGE: 'This image is broken or incomplete.',
  IMAGE_TOO_LARGE: 'This image is too large.',
  NOT_FOUND: 'There is no such prediction.',
  MODEL_NOT_FOUND: 'There is no such model.',
  FORBIDDEN: 'Your key does not allow this.',
};

// What passes: the same again may succeed in a moment.
const PASSING = {
  MODEL_NOT_READY: 'The model is not ready.',
  OVERLOADED: 'Too many ask at this moment.',
  RATE_LIMITED: 'Too many questions in a short time.',
  DEADLINE_EXCEEDED: 'It took too long.',
  UNAVAILABLE: 'The server cannot store predictions now.',
  INTERNAL_SERVER_ERROR: 'Something went wrong in the server.',
  UNAUTHENTICATED: 'The server wants an API key.',
};

/** The trouble that an error of a GraphQL answer tells of. */
export function troubleOf({ message, extensions }) {
  const code = extensions?.code ?? '';
  const retry = code in PASSING;
  const title = TITLES[code] ?? PASSING[code] ?? 'The server refused this.';
  return new Trouble(title, sentence(message), { code, retry });
}

/** The trouble of a server that cannot be reached. */
export function networkTrouble() {
  return new Trouble('The server cannot be reached.', 'Nothing is lost here: try again when it is back.', { retry: true });
}

/**
 * Shows a trouble in an element with role="alert"; null empties it.
 * @param {HTMLElement} element
 * @param {Trouble | null} trouble
 * @param {() => void} [retry] what the button does, where the trouble may pass
 */
export function showTrouble(element, trouble, retry) {
  if (!trouble) {
    element.replaceChildren();
    return;
  }
  const title = document.createElement('p');
  title.className = 'trouble-title';
  title.textContent = trouble.title;
  const message = document.createElement('p');
  message.textContent = trouble.message;
  if (trouble.code) {
    const code = document.createElement('code');
    code.textContent = trouble.code;
    message.append(' ', code);
  }
  element.replaceChildren(title, message);
  if (trouble.retry && retry) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Try again';
    button.addEventListener('click', retry);
    element.append(button);
  }
}

/** Turns whatever was thrown into a Trouble, so that a mistake of this page is told too. */
export function asTrouble(error) {
  return error instanceof Trouble ? error : new Trouble('Something went wrong in this page.', sentence(error.message));
}

function sentence(text = '') {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return start === '' || /[.!?]$/.test(start) ? start : `${start}.`;
}
