const express = require("express");

const app = express();
const port = process.env.PORT || 8082;

app.get("/", (request, response) => {
  response.type("text").send(`Hello, ${request.query.name || "world"}, from Node\n`);
});

const server = app.listen(port, () => console.log(`listening on ${port}`));
process.on("SIGTERM", () => server.close());
process.on("SIGINT", () => server.close());
