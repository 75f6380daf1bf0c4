"""Works out every cost of an exported ledger again, from its token counts and the price file alone.

    recompute.py LEDGER.csv PRICES.yaml

The rules are those that the price file's readers are told: the newest entry of the upstream and
model, else of the model, whose day is not after the request's start; a class of `tiers` is for the
whole request once its input is above the threshold, and inherits what it does not name; a dimension
without a price takes its parent's; a unit price is rounded once, half to even, to twelve places.

Nothing of the gateway is used, no float touches an amount, and every difference is printed. Ends
with 1 when there is one.
"""

import csv
import datetime
import json
import sys
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import yaml

PLACES = Decimal(1).scaleb(-12)
TOKEN_RATES = (
    "input", "cached_input", "cache_write", "cache_write_5m", "cache_write_1h", "output", "audio_input",
    "audio_output",
)
# What stands in for a rate that is not given: the first of these that is.
PARENTS = {
    "input": [],
    "cached_input": ["input"],
    "cache_write": ["cache_write_5m", "input"],
    "cache_write_5m": ["cache_write", "input"],
    "cache_write_1h": ["1.6 x cache_write_5m", "cache_write", "input"],
    "output": [],
    "reasoning": ["output"],
    "audio_input": ["input"],
    "audio_output": ["output"],
}
INPUT_METERS = {"input", "cached_input", "cache_write", "cache_write_5m", "cache_write_1h", "audio_input"}
WRITE_METERS = {"cache_write", "cache_write_5m", "cache_write_1h"}


class Entry:
    """One entry of the price file."""

    def __init__(self, written):
        self.written = written
        self.model = written["model"]
        self.upstream = written.get("upstream")
        self.start = day(written["from"])
        self.per = Decimal(written.get("per", 1_000_000))
        at = f"@{self.upstream}" if self.upstream else ""
        self.id = written.get("id") or f"{self.model}{at}:{self.start.date().isoformat()}"

    def rates(self, input_tokens):
        """The amounts for `per` tokens in the class that this much input reaches."""
        rates = {name: self.written[name] for name in TOKEN_RATES if name in self.written}
        for tier in sorted(self.written.get("tiers", []), key=lambda tier: tier["above_input_tokens"]):
            if input_tokens > tier["above_input_tokens"]:
                rates.update({name: tier[name] for name in TOKEN_RATES if name in tier})
        return {name: Decimal(amount) for name, amount in rates.items()}

    def unit_price(self, meter, input_tokens):
        """What one unit of a meter costs; None where nothing stands in for a missing price."""
        if meter in ("request", "search"):
            fee = self.written.get(f"per_{meter}")
            return None if fee is None else round_unit(Decimal(fee))
        rates = self.rates(input_tokens)
        if "cache_write_5m" in rates:
            rates["1.6 x cache_write_5m"] = rates["cache_write_5m"] * 8 / 5
        for name in [meter, *PARENTS[meter]]:
            if name in rates:
                return round_unit(rates[name] / self.per)
        return None


def round_unit(price):
    return price.quantize(PLACES, rounding=ROUND_HALF_EVEN)


def day(written):
    """The first instant of a date, which YAML may have read as a date already."""
    date = written if isinstance(written, datetime.date) else datetime.date.fromisoformat(written)
    return datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.timezone.utc)


class Book:
    """The price file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            # Amounts are texts in the file; whatever is none stays as it was written.
            self.entries = [Entry(written) for written in yaml.safe_load(file)["prices"]]

    def find(self, upstream, model, started_at):
        """The entry of a call. An upstream that has a line of its own never takes the common one."""
        own = [e for e in self.entries if (e.upstream, e.model) == (upstream, model)]
        common = [e for e in self.entries if (e.upstream, e.model) == (None, model)]
        valid = [entry for entry in own or common if entry.start <= started_at]
        return max(valid, key=lambda entry: entry.start, default=None)

    def named(self, price_id, started_at):
        """The entry that a meter names; entries that share an id are one dated line."""
        found = [entry for entry in self.entries if entry.id == price_id and entry.start <= started_at]
        return max(found, key=lambda entry: entry.start, default=None)


class Audit:
    """Goes through rows and remembers what is not as it should be."""

    def __init__(self, book):
        self.book = book
        self.rows = self.meters = self.differences = 0
        self.cost = self.waste = Decimal(0)

    def differs(self, row, what):
        self.differences += 1
        if self.differences <= 50:
            print(f"row {row['id']}: {what}")

    def row(self, row):
        self.rows += 1
        meters, attempts = json.loads(row["meters"]), json.loads(row["attempts"])
        started_at = datetime.datetime.fromisoformat(row["started_at"].replace("Z", "+00:00"))
        entry = self.book.find(row["upstream"], row["upstream_model"], started_at)
        cost = self.bill(row, entry, meters, "its cost")
        if row["cost"] != "" and Decimal(row["cost"]) != cost:
            self.differs(row, f"costs {row['cost']}, its meters sum to {cost}")
        if row["end"] != "recovered":
            self.quantities(row, entry, meters)
        waste = Decimal(0)
        for attempt in attempts:
            named = [self.book.named(meter["price_id"], started_at) for meter in attempt["meters"][:1]]
            wasted = self.bill(row, next(iter(named), None), attempt["meters"], f"try {attempt['n']}")
            if Decimal(attempt["waste"]) != wasted:
                self.differs(row, f"try {attempt['n']} wastes {attempt['waste']}, its meters {wasted}")
            waste += wasted
        if Decimal(row["waste_cost"]) != waste:
            self.differs(row, f"wastes {row['waste_cost']}, its tries {waste}")
        self.cost += cost
        self.waste += waste

    def bill(self, row, entry, meters, what):
        """What the meters cost by the entry; each must say the same."""
        total = Decimal(0)
        input_tokens = sum(m["quantity"] for m in meters if m["meter"] in INPUT_METERS)
        for meter in meters:
            self.meters += 1
            if row["end"] == "recovered":
                # Charged at the dearest class that could apply, which no other column tells.
                price = Decimal(meter["unit_price"])
            else:
                price = entry and entry.unit_price(meter["meter"], input_tokens)
            if price is None or (entry and entry.id != meter["price_id"]):
                self.differs(row, f"{what}: {meter} has no price by that name")
                continue
            cost = price * meter["quantity"]
            if (Decimal(meter["unit_price"]), Decimal(meter["cost"])) != (price, cost):
                self.differs(row, f"{what}: {meter} should be {meter['quantity']} x {price} = {cost}")
            total += cost
        return total

    def quantities(self, row, entry, meters):
        """Everything that was counted and has a price is in the bill, nothing else is."""
        billed = {}
        for meter in meters:
            billed[meter["meter"]] = billed.get(meter["meter"], 0) + meter["quantity"]
        count = {name: int(row[f"{name}_tokens"]) for name in (
            "input", "cached_input", "cache_write", "output", "reasoning", "audio_input", "audio_output")}
        if row["cost"] == "":
            if entry is not None or "unpriced" not in json.loads(row["flags"]):
                self.differs(row, f"has no cost, and there is a price: {entry and entry.id}")
            if meters:
                self.differs(row, "has no cost, but meters")
            return
        if not any(count.values()):
            if meters:
                self.differs(row, f"used nothing and is billed {billed}")
            return
        written = sum(billed.get(meter, 0) for meter in WRITE_METERS)
        wanted = {
            "input": count["input"] - count["cached_input"] - count["cache_write"] - count["audio_input"],
            "cached_input": count["cached_input"],
            "output": count["output"] - count["reasoning"] - count["audio_output"],
            "reasoning": count["reasoning"],
            "audio_input": count["audio_input"],
            "audio_output": count["audio_output"],
        }
        for name, quantity in wanted.items():
            if entry is None or entry.unit_price(name, count["input"]) is None:
                quantity = 0
            if billed.get(name, 0) != quantity:
                self.differs(row, f"counts {quantity} of {name}, its bill {billed.get(name, 0)}")
        if written != count["cache_write"]:
            self.differs(row, f"wrote {count['cache_write']} to the cache, its bill says {written}")
        if entry is not None and "per_request" in entry.written and billed.get("request") != 1:
            self.differs(row, "its bill lacks the fee of the request")


def main(ledger, prices):
    csv.field_size_limit(1 << 24)
    audit = Audit(Book(prices))
    # Exact: nothing here has as many digits.
    with localcontext(Context(prec=80)), open(ledger, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            audit.row(row)
        print(
            f"recomputed {audit.rows} rows with {audit.meters} meters: cost {audit.cost:f}, "
            f"waste {audit.waste:f}, {audit.differences} differences"
        )
    return 1 if audit.differences or not audit.meters else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
