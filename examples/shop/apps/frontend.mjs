/**
 * The page of one product: asks catalog, reviews and cart at once and puts their answers together.
 * With `?optional=reviews` a page without reviews is better than none.
 */
import { get, serve } from './service.mjs';

const CATALOG = process.env.CATALOG_URL ?? 'http://catalog:8080';
const REVIEWS = process.env.REVIEWS_URL ?? 'http://reviews:8080';
const CART = process.env.CART_URL ?? 'http://cart:8080';

serve({
  'GET /': (request, url) => page(request, url, '1'),
  'GET /products/:id': (request, url, { id }) => page(request, url, id),
});

async function page(request, url, id) {
  const user = url.searchParams.get('user') ?? 'guest';
  const reviews = get(request, `${REVIEWS}/reviews/${encodeURIComponent(id)}`);
  const [product, texts, cart] = await Promise.all([
    get(request, `${CATALOG}/products/${encodeURIComponent(id)}`),
    url.searchParams.get('optional') === 'reviews' ? reviews.catch(() => null) : reviews,
    get(request, `${CART}/carts/${encodeURIComponent(user)}`),
  ]);
  return { product, reviews: texts, cart };
}
