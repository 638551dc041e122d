// Light or dark: the system's choice, until somebody chooses the other. Loaded first, so that no wrong colour flashes.

const KEY = 'sibyl.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

apply(chosen());
system.addEventListener('change', () => apply(chosen()));
if (document.readyState === 'loading') {
  document.addEventListener('DOMContentLoaded', connect);
} else {
  connect();
}

function connect() {
  const button = document.getElementById('theme');
  button.addEventListener('click', () => {
    choose(isDark() ? 'light' : 'dark');
  });
  apply(chosen());
}

/** The theme that was chosen by hand; null where the system's holds. */
function chosen() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null; // storage may be forbidden
  }
}

function choose(theme) {
  // Back at the system's own there is nothing to remember: it may change in the evening.
  const remembered = theme === systemTheme() ? null : theme;
  try {
    if (remembered) {
      localStorage.setItem(KEY, remembered);
    } else {
      localStorage.removeItem(KEY);
    }
  } catch {
    // Then the choice holds until the page is left.
  }
  apply(remembered);
}

function apply(theme) {
  if (theme) {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
  document.getElementById('theme')?.setAttribute('aria-pressed', String(isDark()));
  document.dispatchEvent(new Event('themechange'));
}

function systemTheme() {
  return system.matches ? 'dark' : 'light';
}

function isDark() {
  return (document.documentElement.dataset.theme ?? systemTheme()) === 'dark';
}
