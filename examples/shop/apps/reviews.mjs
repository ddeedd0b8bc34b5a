/** What people say about a product. Version 2 adds stars, and answers 503 to FAIL_PERCENT of its requests: the demo makes it do so. */
import { HttpError, serve } from './service.mjs';

const VERSION = process.env.VERSION ?? 'v1';
const FAIL_PERCENT = Number(process.env.FAIL_PERCENT ?? 0);
const TEXTS = ['Light as air.', 'Tears if you look at it.'];

serve({
  'GET /reviews/:id': (request, url, { id }) => {
    if (Math.random() * 100 < FAIL_PERCENT) throw new HttpError(503, `reviews ${VERSION} has a bad moment`);
    return {
      product: id,
      version: VERSION,
      reviews: TEXTS.map((text, i) => (VERSION === 'v2' ? { text, stars: 5 - 3 * i } : { text })),
    };
  },
});
