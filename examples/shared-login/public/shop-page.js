// Calls the API from the shop's page, across origins, and shows what came back.
const list = document.querySelector('#calls')
const api = list.dataset.api

async function call(method, path, body) {
  const response = await fetch(api + path, {
    method,
    credentials: 'include', // send the session's cookie along, though the API is another origin
    ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const answer = await response.json()
  show(method, path, response, answer)
  return { response, answer }
}

function show(method, path, { status, ok }, answer) {
  const item = document.createElement('li')
  const line = document.createElement('p')
  line.append(element('code', `${method} ${path}`), element('span', status, ok ? 'status' : 'status bad'))
  item.append(line, element('pre', JSON.stringify(answer, null, 2)))
  list.prepend(item)
  while (list.children.length > 3) list.lastElementChild.remove()
}

function element(name, text, className = '') {
  return Object.assign(document.createElement(name), { textContent: text, className })
}

function failed(error) {
  list.prepend(element('li', `The API does not answer: ${error.message}.`, 'bad'))
}

/** Takes the parts that an order changes from a fresh copy of this page. */
async function refresh() {
  const text = await (await fetch('/')).text()
  const fresh = new DOMParser().parseFromString(text, 'text/html')
  for (const part of ['#cart', '#count', '.shelf']) {
    document.querySelector(part).replaceWith(fresh.querySelector(part))
  }
}

async function order() {
  // A POST with JSON: the browser first asks the API whether this page may (an OPTIONS request, see the terminal).
  const { response } = await call('POST', '/orders', {})
  if (response.status === 401) location.reload()
  else await refresh()
}

document.addEventListener('click', ({ target }) => {
  if (target.id !== 'order') return
  target.disabled = true
  order().catch(failed)
})

/** Whoever signed in or out in another tab did it for this page too. */
async function lookAgain() {
  const { ok } = await fetch(`${api}/me`, { credentials: 'include' })
  const wasSignedIn = document.body.dataset.user !== ''
  if (ok !== wasSignedIn) location.reload()
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') lookAgain().catch(failed)
})

call('GET', '/cart')
  .then(() => call('GET', '/me'))
  .catch(failed)
