// The API is beside this page: /graphiql/ talks to /graphql. Without a cookie of
// an admin, put {"Authorization": "Bearer <API key>"} into the headers tab.
ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: '../graphql' }),
    defaultEditorToolsVisibility: 'headers',
    defaultQuery: '{\n  viewer {\n    kind\n    name\n    grants { role tenant }\n  }\n}\n',
  }),
);
