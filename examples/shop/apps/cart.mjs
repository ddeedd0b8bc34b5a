/** The cart of a user: two products, priced by the catalog. */
import { get, serve } from './service.mjs';

const CATALOG = process.env.CATALOG_URL ?? 'http://catalog:8080';

serve({
  'GET /carts/:user': async (request, url, { user }) => {
    const products = await get(request, `${CATALOG}/products`);
    const items = products.slice(0, 2).map(({ id, price }) => ({ id, price, count: 1 }));
    return { user, items, total: items.reduce((sum, item) => sum + item.price * item.count, 0) };
  },
});
