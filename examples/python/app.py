"""A page that greets whoever asks."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return f"Hello, {request.args.get('name', 'world')}, from Python\n"
