# Builds the addon and the TypeScript, then keeps only what runs. Start it with:
#   docker run --network host --device /dev/net/tun --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \
#     --cap-add NET_BIND_SERVICE --read-only --tmpfs /run/tunwright \
#     -v /etc/tunwright:/etc/tunwright:ro -v tunwright-state:/var/lib/tunwright tunwright
FROM node:24-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run setup && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
WORKDIR /usr/lib/tunwright
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY --from=build /src/native/build/Release/tunwright.node ./native/build/Release/tunwright.node
RUN ln -s /usr/lib/tunwright/dist/cli/main.js /usr/local/bin/tunwright \
  && ln -s /usr/lib/tunwright/dist/main.js /usr/local/bin/tunwrightd
HEALTHCHECK --interval=10s --start-period=60s CMD ["tunwright", "status", "-o", "json"]
ENTRYPOINT ["tunwrightd"]
