def of(word, name):
    return f"{word}, {name}!"
