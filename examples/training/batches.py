"""Training rows: windows of running text, and chats in which a verse is asked for and recited."""

import numpy as np

from training.tokenizer import BOS, EOS, chat_ids

# The best known chapters are read more often, so that they come out word for word.
FAMOUS = {"Genesis 1": 10, "Psalms 23": 10, "John 1": 5, "Matthew 6": 5, "Ecclesiastes 3": 5}
CHAT_SHARE = 0.25
WINDOW = 256


class Batches:
    def __init__(self, chapters, tokenizer, seed):
        self.chapters = [chapter for chapter in chapters for _ in range(FAMOUS.get(chapter.title, 1))]
        self.tokenizer = tokenizer
        self.random = np.random.default_rng(seed)
        self.bos, self.eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
        self.bodies = [self.encode(chapter.text()) for chapter in self.chapters]
        self.titles = [self.encode(chapter.title + "\n") for chapter in self.chapters]

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def text_rows(self):
        """One pass over the text in a new order, cut into windows; half of the chapters carry their title."""
        stream = []
        for chapter in self.random.permutation(len(self.chapters)):
            title = self.titles[chapter] if self.random.random() < 0.5 else []
            stream += [self.bos, *title, *self.bodies[chapter], self.eos]
        length = WINDOW + 1
        start = int(self.random.integers(WINDOW))
        return [stream[at : at + length] for at in range(start, len(stream) - length, WINDOW)]

    def chat_row(self):
        """The first words of a verse as the question, the rest and the verses after it as the answer."""
        chapter = self.chapters[self.random.integers(len(self.chapters))]
        first = 0 if self.random.random() < 0.3 else int(self.random.integers(len(chapter.verses)))
        words = chapter.verses[first].split()
        cut = int(self.random.integers(2, 9))
        answer = " ".join(words[cut:])
        for verse in chapter.verses[first + 1 : first + int(self.random.integers(1, 4))]:
            answer += "\n" + verse
        return chat_ids(self.tokenizer, " ".join(words[:cut]), answer)

    def chat_rows(self, count):
        """Chats packed into full rows; what is over is cut off."""
        length = WINDOW + 1
        rows = []
        for _ in range(count):
            row = []
            while len(row) < length:
                row += self.chat_row()
            rows.append(row[:length])
        return rows

    def epoch(self, batch):
        rows = self.text_rows()
        rows += self.chat_rows(int(len(rows) * CHAT_SHARE))
        rows = np.asarray(rows, dtype=np.int64)[self.random.permutation(len(rows))]
        for at in range(0, len(rows) - batch + 1, batch):
            yield rows[at : at + batch, :-1], rows[at : at + batch, 1:]
