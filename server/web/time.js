// Times as people read them.

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'medium' });

/** A `<time>` of today with the hour, of another day with the date. */
export function timeElement(instant, { long = false } = {}) {
  const date = new Date(instant);
  const element = document.createElement('time');
  element.dateTime = instant;
  element.title = whole.format(date);
  const today = date.toDateString() === new Date().toDateString();
  element.textContent = long ? whole.format(date) : (today ? clock : day).format(date);
  return element;
}
