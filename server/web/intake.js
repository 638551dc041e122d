// Images that come from elsewhere: chosen, dropped or pasted.

import { Trouble } from './trouble.js';

/**
 * Calls back with each file that is chosen, dropped anywhere on the page, or pasted.
 * @param {{onFile: (file: File) => void, onNothing: (trouble: Trouble) => void}} events
 *   onNothing: something came that is no file
 */
export function takeFiles({ onFile, onNothing }) {
  const input = document.getElementById('file');
  input.addEventListener('change', () => {
    if (input.files.length > 0) {
      onFile(input.files[0]);
    }
    input.value = ''; // the same file may be chosen again
  });

  document.addEventListener('paste', (event) => {
    take(event.clipboardData, 'There is no image on the clipboard.');
  });

  // Without this a browser would leave the page to show the file.
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) {
      document.body.classList.remove('dropping');
    }
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    take(event.dataTransfer, 'That was no image file.');
  });

  function take(transfer, otherwise) {
    const file = transfer?.files[0];
    if (file) {
      onFile(file);
    } else {
      onNothing(new Trouble(otherwise, 'Save it as a file first, then drop or choose it.'));
    }
  }
}
