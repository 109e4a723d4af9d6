/** One thing that happened, and the page of the documentation that says more. */
export interface Sentence {
  readonly text: string
  readonly page: string
  readonly topic: string
}

export const say = (text: string, page: string, topic: string): Sentence => ({ text, page, topic })
