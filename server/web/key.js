// The API key, where the server wants one: asked for once, and kept until the tab is closed.

const STORE = 'sibyl.key';
const $ = (id) => document.getElementById(id);

let asking = null; // the promise of the dialog that is open

/** The headers that carry the key; none where nobody has given one. */
export function keyHeaders() {
  const key = sessionStorage.getItem(STORE);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Asks for the key, unless another one was given since a request with these headers was sent. Those who ask at the same
 * time wait for one answer.
 * @param {{Authorization?: string}} refused the headers that the server refused
 * @returns {Promise<boolean>} whether there is another key to try
 */
export function askForKey(refused) {
  if (!asking && keyHeaders().Authorization !== refused.Authorization) {
    return Promise.resolve(true);
  }
  asking ??= openDialog(refused.Authorization !== undefined).finally(() => { asking = null; });
  return asking;
}

function openDialog(wasWrong) {
  const dialog = $('key');
  const input = $('key-input');
  sessionStorage.removeItem(STORE);
  $('key-trouble').textContent = wasWrong ? 'The server does not know this key.' : '';
  input.value = '';
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    $('key-form').onsubmit = (event) => {
      event.preventDefault();
      if (input.value.trim()) {
        sessionStorage.setItem(STORE, input.value.trim());
        dialog.close();
      }
    };
    dialog.onclose = () => {
      input.value = '';
      resolve(keyHeaders().Authorization !== undefined);
    };
  });
}
