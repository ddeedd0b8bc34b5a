/** The products of the shop, with their prices. */
import { HttpError, serve } from './service.mjs';

const PRODUCTS = new Map([
  ['1', { id: '1', name: 'Veil, fine tulle', price: 49 }],
  ['2', { id: '2', name: 'Petticoat, three layers', price: 89 }],
  ['3', { id: '3', name: 'Ribbon, ten metres', price: 9 }],
]);

serve({
  'GET /products': () => [...PRODUCTS.values()],
  'GET /products/:id': (request, url, { id }) => {
    const product = PRODUCTS.get(id);
    if (product === undefined) throw new HttpError(404, `there is no product ${id}`);
    return product;
  },
});
