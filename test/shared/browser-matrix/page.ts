// The page that acts. Its script gives `play`, which does what a cell says.

/** What the script is told of a cell. */
export interface Act {
  readonly way: string
  readonly url: string
  readonly method: string
  readonly mode: string
  readonly credentials: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** Each way tells whether the page could read what the app answered. A form tells it by `readForm`, once its window has loaded. */
const script = `
const ways = {
  async fetch({ url, method, mode, credentials, headers, body }) {
    try {
      const response = await fetch(url, { method, mode, credentials, headers, body })
      return (await response.text()) !== ''
    } catch {
      return false
    }
  },

  image: ({ url, mode, credentials }) => new Promise((resolve) => {
    const image = new Image()
    if (mode === 'cors') image.crossOrigin = credentials === 'include' ? 'use-credentials' : 'anonymous'
    image.onerror = () => resolve(false)
    image.onload = () => {
      const pixels = document.createElement('canvas').getContext('2d')
      pixels.drawImage(image, 0, 0)
      try {
        resolve(pixels.getImageData(0, 0, 1, 1).data.length === 4)
      } catch {
        resolve(false)
      }
    }
    image.src = url
  }),

  stream: ({ url, credentials }) => new Promise((resolve) => {
    const stream = new EventSource(url, { withCredentials: credentials === 'include' })
    const settle = (read) => {
      stream.close()
      resolve(read)
    }
    stream.onmessage = () => settle(true)
    stream.onerror = () => settle(false)
  }),

  socket: ({ url }) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace('https:', 'wss:'))
    socket.onmessage = () => resolve(true)
    socket.onerror = () => resolve(false)
  }),
}

async function play(acts) {
  const read = []
  for (const act of acts) read.push(await ways[act.way](act))
  return read
}

let shown

function submit({ url, method }) {
  shown = open('about:blank', 'shown')
  const form = Object.assign(document.createElement('form'), { method, action: url, target: 'shown' })
  document.body.append(form)
  form.submit()
}

function readForm() {
  try {
    return shown.document.body.textContent !== ''
  } catch {
    return false
  } finally {
    shown.close()
  }
}
`

export const html = `<!doctype html><meta charset="utf-8"><title>A page</title><body><script>${script}</script></body>`
