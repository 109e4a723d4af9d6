// Calls the API from the shop's page, across origins, and shows what came back.
const list = document.querySelector('#calls')
const { api } = list.dataset

async function call(method, path, body) {
  const response = await fetch(api + path, {
    method,
    credentials: 'include', // send the session's cookie along, though the API is another origin
    ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  })
  return { method, path, status: response.status, ok: response.ok, answer: await response.json() }
}

function show({ method, path, status, ok, answer }) {
  const item = document.createElement('li')
  const line = document.createElement('p')
  line.append(element('code', `${method} ${path}`), element('span', status, ok ? 'status' : 'status bad'))
  item.append(line, element('pre', JSON.stringify(answer, null, 2)))
  list.append(item)
}

function element(name, text, className = '') {
  return Object.assign(document.createElement(name), { textContent: text, className })
}

function failed(error) {
  list.append(element('li', `The API does not answer: ${error.message}.`, 'bad'))
}

async function order() {
  // A POST with JSON: the browser first asks the API whether this page may (an OPTIONS request, see the terminal).
  await call('POST', '/orders', {})
  // What this page shows was read before. So read all of it again.
  location.reload()
}

document.addEventListener('click', ({ target }) => {
  if (target.id !== 'order') return
  target.disabled = true
  order().catch(failed)
})

/** Reads the page again if another tab or app has changed what it shows: who is signed in, and the cart. */
async function lookAgain() {
  const [me, cart] = await Promise.all([call('GET', '/me'), call('GET', '/cart')])
  const { user, items } = document.body.dataset
  if (me.ok !== (user !== '') || cart.answer.items !== Number(items)) location.reload()
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') lookAgain().catch(failed)
})

// A page that the browser kept for its Back button shows what was true when the visitor left it.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})

Promise.all([call('GET', '/cart'), call('GET', '/me')])
  .then((calls) => calls.forEach(show))
  .catch(failed)
