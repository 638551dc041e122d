// Starts Altair, the playground: this server's endpoint, the header that uploads need, and questions to begin with.

const PREDICT = `# Choose a file below, under VARIABLES: "Add files", and name it: image
# Then press "Send Request".
mutation Predict($image: Upload!) {
  predict(image: $image) {
    id
    likelyClass { name confidence }
    classes(top: 3) { name confidence }
    model { name version }
    timing { decode queue inference }
    input { filename image { contentType width height url } }
  }
}
`;

const LATEST = `# The latest predictions, each with its image. \`after: endCursor\` gives the next page.
query Latest($first: Int = 10, $after: String) {
  predictions(first: $first, after: $after) {
    nodes {
      id
      createdAt
      likelyClass { name confidence }
      input { id filename image { width height url } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const ONE = `# One prediction, by an ID that the other two tabs give.
query One($id: ID!) {
  prediction(id: $id) {
    id
    createdAt
    scores
    outputs { name datatype shape data }
    model { name version classNames }
    input { filename image { contentType byteSize sha256 dataUrl } }
  }
}
`;

const connection = {
  endpointURL: new URL('/graphql', location.href).href,
  initialHeaders: { 'GraphQL-Require-Preflight': '1' },
};

globalThis.AltairGraphQL.init({
  ...connection,
  initialQuery: LATEST,
  initialVariables: '{ "first": 10 }',
  // The last one stands open.
  initialWindows: [
    { ...connection, initialName: 'Predict', initialQuery: PREDICT, initialVariables: '{}' },
    { ...connection, initialName: 'One', initialQuery: ONE, initialVariables: '{ "id": "prediction_" }' },
    { ...connection, initialName: 'Latest', initialQuery: LATEST, initialVariables: '{ "first": 10 }' },
  ],
  // What is typed here is this server's alone, and nothing is asked of others.
  instanceStorageNamespace: 'sibyl_',
  disableAccount: true,
  initialSettings: {
    'schema.reloadOnStart': true,
    'alert.disableUpdateNotification': true,
    'banners.disable': true,
    disablePushNotification: true,
  },
});

// Where scripts before and after requests run: Altair would ask its makers' site until it has found its own files.
Object.assign(globalThis.getAltairConfig(), {
  localSandboxUrl: new URL('iframe-sandbox/index.html', document.baseURI).href,
  useLocalSandboxUrl: true,
});
