/** The page of one product: asks catalog, reviews and cart at once and puts their answers together. */
import { get, serve } from './service.mjs';

const CATALOG = process.env.CATALOG_URL ?? 'http://catalog:8080';
const REVIEWS = process.env.REVIEWS_URL ?? 'http://reviews:8080';
const CART = process.env.CART_URL ?? 'http://cart:8080';

serve({
  'GET /': (request) => page(request, '1', 'guest'),
  'GET /products/:id': (request, url, { id }) => page(request, id, url.searchParams.get('user') ?? 'guest'),
});

async function page(request, id, user) {
  const [product, reviews, cart] = await Promise.all([
    get(request, `${CATALOG}/products/${encodeURIComponent(id)}`),
    get(request, `${REVIEWS}/reviews/${encodeURIComponent(id)}`),
    get(request, `${CART}/carts/${encodeURIComponent(user)}`),
  ]);
  return { product, reviews, cart };
}
