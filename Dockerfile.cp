# The control plane: one bundle on Node, without root.
# docker build -f Dockerfile.cp -t tulle/control-plane .

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Node comes with the image here; the platform packages are for hosts that have an older one. The rest of `prepare` needs the sources.
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY . .
RUN npm run generate && npm run build

FROM node:26.10.0-bookworm-slim
WORKDIR /opt/tulle
COPY --from=build /src/dist/control-plane.cjs /src/dist/control-plane.cjs.map /src/dist/control-plane.cjs.LEGAL.txt /src/LICENSE ./
# Compiled code is kept in the image: a start reads it instead of compiling. Written here, only read later.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/opt/tulle/compile-cache
RUN node control-plane.cjs --help > /dev/null
USER 1000:1000
# xDS 15012, metrics and health 15014
EXPOSE 15012 15014
ENTRYPOINT ["node", "/opt/tulle/control-plane.cjs"]
