/** What people say about a product. Version 2 adds stars. */
import { serve } from './service.mjs';

const VERSION = process.env.VERSION ?? 'v1';
const TEXTS = ['Light as air.', 'Tears if you look at it.'];

serve({
  'GET /reviews/:id': (request, url, { id }) => ({
    product: id,
    version: VERSION,
    reviews: TEXTS.map((text, i) => (VERSION === 'v2' ? { text, stars: 5 - 3 * i } : { text })),
  }),
});
