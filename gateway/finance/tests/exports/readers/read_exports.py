"""Reads every folder of exports below the one that is named, and compares each file with the ledger.

`ledger.jsonl` holds the rows as the API gives them; sums are of `decimal`, so that a difference in the
last digit is a difference. What has been looked at is printed, one line each; the first thing that is
wrong ends the script.
"""

import csv
import datetime
import json
import sys
from collections import defaultdict
from decimal import Decimal, getcontext
from pathlib import Path

import duckdb
import openpyxl
import pyarrow
import pyarrow.parquet
from openpyxl.utils.escape import unescape

getcontext().prec = 60

FOREIGN = ["end_user", "session", "client", "model", "served_model", "service_tier"]
TOKENS = ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"]


def main(root: Path) -> None:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    for folder in folders:
        ledger = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
        for name, check in CHECKS.items():
            check(folder, ledger)
            print(f"{folder.name}: {name}", flush=True)


def money(text) -> Decimal:
    return Decimal(text) if text not in (None, "") else Decimal(0)


def totals(rows, currency: str, cost: str) -> dict:
    """Sums by currency; a currency without any cost says nothing."""
    sums = defaultdict(Decimal)
    for row in rows:
        sums[row[currency]] += money(row[cost])
    return {name: value for name, value in sums.items() if value}


def same(what: str, told, want) -> None:
    if told != want:
        sys.exit(f"{what}:\n  told {told}\n  want {want}")


def read_csv(path: Path) -> list:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_csv(folder: Path, ledger: list) -> None:
    rows = read_csv(folder / "rows.csv")
    same("rows", sorted(row["id"] for row in rows), sorted(row["id"] for row in ledger))
    same("cost", totals(rows, "currency", "cost"), totals(ledger, "currency", "cost"))
    for name in TOKENS:
        same(name, sum(int(row[name]) for row in rows), sum(row[name] for row in ledger))
    for row in rows:
        parts = sum(money(meter["cost"]) for meter in json.loads(row["meters"]))
        same(f"meters of {row['id']}", row["kind"] == "fixed" or parts == money(row["cost"]), True)


def check_formulas(folder: Path, ledger: list) -> None:
    by_id = {row["id"]: row for row in ledger}
    for row in read_csv(folder / "rows.csv"):
        for name in FOREIGN:
            told, sent = row[name], by_id[row["id"]][name] or ""
            same(f"{name} of {row['id']}", told.removeprefix("'"), sent)
            same(f"{name} is no formula", told.startswith(("=", "+", "-", "@", "\t", "\r")), False)
    for version in ("1.2", "1.4"):
        for row in read_csv(folder / f"focus-{version}.csv"):
            same("x_ModelAlias is no formula", row["x_ModelAlias"].startswith(("=", "+", "-", "@")), False)


def check_pyarrow(folder: Path, ledger: list) -> None:
    file = pyarrow.parquet.ParquetFile(folder / "rows.parquet")
    schema = file.schema_arrow
    for name in ("cost", "reserved_cost", "waste_cost"):
        same(name, schema.field(name).type, pyarrow.decimal128(38, 12))
    for name in ("started_at", "ended_at"):
        same(name, schema.field(name).type, pyarrow.timestamp("us", tz="UTC"))
    same("input_tokens", schema.field("input_tokens").type, pyarrow.int64())
    same("stream", schema.field("stream").type, pyarrow.bool_())
    same("dataset", schema.metadata[b"tollgate_dataset"], b"ledger rows")
    for group in range(file.metadata.num_row_groups):
        for at in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(at)
            same("compression", chunk.compression, "ZSTD")
            if chunk.path_in_schema == "team":
                same("dictionary", chunk.has_dictionary_page, True)
    rows = file.read().to_pylist()
    same("cost", totals(rows, "currency", "cost"), totals(ledger, "currency", "cost"))
    by_id = {row["id"]: row for row in ledger}
    same("rows", sorted(row["id"] for row in rows), sorted(by_id))
    for row in rows:
        known = by_id[row["id"]]
        same("end_user", row["end_user"], known["end_user"])
        same("meters", json.loads(row["meters"]), known["meters"])
        same("started_at", row["started_at"], datetime.datetime.fromisoformat(known["started_at"]))
        same("cost", row["cost"], None if known["cost"] is None else Decimal(known["cost"]))


def check_duckdb(folder: Path, ledger: list) -> None:
    path = str(folder / "rows.parquet")
    asked = "SELECT currency, sum(cost) FROM read_parquet(?) WHERE cost <> 0 GROUP BY currency"
    sums = {name: value for name, value in duckdb.execute(asked, [path]).fetchall() if value}
    same("cost", sums, totals(ledger, "currency", "cost"))
    types = dict(duckdb.execute("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet(?))", [path]).fetchall())
    same("types", [types["cost"], types["started_at"], types["seq"]], ["DECIMAL(38,12)", "TIMESTAMP WITH TIME ZONE", "BIGINT"])
    by_team = "SELECT team, count(*) FROM read_parquet(?) GROUP BY team"
    counted = defaultdict(int)
    for row in ledger:
        counted[row["team"]] += 1
    same("teams", dict(duckdb.execute(by_team, [path]).fetchall()), dict(counted))


def check_focus_csv(folder: Path, ledger: list) -> None:
    for version in ("1.2", "1.4"):
        rows = read_csv(folder / f"focus-{version}.csv")
        for cost in ("EffectiveCost", "ContractedCost", "ListCost"):
            same(cost, totals(rows, "BillingCurrency", cost), totals(ledger, "currency", "cost"))
        same("BilledCost", {row["BilledCost"] for row in rows} <= {"0.0"}, True)
        for row in rows:
            if row["ListUnitPrice"]:
                product = money(row["ListUnitPrice"]) * money(row["PricingQuantity"])
                same(f"price times quantity in {row}", product, money(row["ListCost"]))


def check_focus_parquet(folder: Path, ledger: list) -> None:
    for version in ("1.2", "1.4"):
        file = pyarrow.parquet.ParquetFile(folder / f"focus-{version}.parquet")
        same("focus_version", file.schema_arrow.metadata[b"focus_version"].decode(), version)
        same("ListCost", file.schema_arrow.field("ListCost").type, pyarrow.decimal128(38, 12))
        same("ChargePeriodStart", file.schema_arrow.field("ChargePeriodStart").type, pyarrow.timestamp("us", tz="UTC"))
        rows = file.read().to_pylist()
        text = read_csv(folder / f"focus-{version}.csv")
        same("lines", len(rows), len(text))
        same("columns", file.schema_arrow.names, list(text[0]) if text else file.schema_arrow.names)
        for typed, line in zip(rows, text):
            same("ListCost", typed["ListCost"], money(line["ListCost"]))
            same("null", [name for name in typed if typed[name] is None], [name for name in line if line[name] == ""])
        same("cost", totals(rows, "BillingCurrency", "EffectiveCost"), totals(ledger, "currency", "cost"))


def table(sheet) -> list:
    rows = list(sheet.iter_rows())
    names = [cell.value for cell in rows[0]]
    return [dict(zip(names, row)) for row in rows[1:]]


def book(folder: Path, values: bool):
    return openpyxl.load_workbook(folder / "book.xlsx", data_only=values)


def check_teams(folder: Path, ledger: list) -> None:
    sums, requests = defaultdict(Decimal), 0
    opened = book(folder, values=False)
    sheets = [sheet for sheet in opened if sheet.title not in ("Summary", "Requests", "Notes")]
    same("sheets", len(sheets), len({row["team"] for row in ledger}))
    same("titles", len({sheet.title.lower() for sheet in opened}), len(opened.sheetnames))
    for sheet in sheets:
        same("title", len(sheet.title) <= 31 and not set(sheet.title) & set("[]:*?/\\"), True)
        same("frozen header", sheet.freeze_panes, "A2")
        same("filter", sheet.auto_filter.ref, sheet.dimensions)
        for row in table(sheet):
            same("formulas", [name for name, cell in row.items() if cell.data_type == "f"], [])
            same("date", row["date"].is_date and isinstance(row["date"].value, datetime.datetime), True)
            same("cost", row["cost"].data_type, "n")
            exact = Decimal(row["cost_exact"].value)
            same("cost", row["cost"].value, float(exact))
            sums[row["currency"].value] += exact
            requests += row["requests"].value
    same("cost", {name: value for name, value in sums.items() if value}, totals(ledger, "currency", "cost"))
    same("requests", requests, sum(row["kind"] == "usage" for row in ledger))


def check_summary(folder: Path, ledger: list) -> None:
    want = totals(ledger, "currency", "cost")
    formulas = table(book(folder, values=False)["Summary"])
    values = table(book(folder, values=True)["Summary"])
    told, by_team = {}, defaultdict(Decimal)
    for formula, value in zip(formulas, values, strict=True):
        same("a formula", formula["cost"].data_type, "f")
        same("a value", type(value["cost"].value) in (int, float), True)
        exact = Decimal(value["cost_exact"].value)
        same("cost", float(value["cost"].value), float(exact))
        if value["team"].value == "Total":
            told[value["currency"].value] = exact
        else:
            by_team[value["currency"].value] += exact
    same("totals", {name: value for name, value in told.items() if value}, want)
    same("teams", {name: value for name, value in by_team.items() if value}, want)


def check_requests(folder: Path, ledger: list) -> None:
    rows = table(book(folder, values=False)["Requests"])
    by_id = {row["id"]: row for row in ledger}
    same("rows", sorted(row["id"].value for row in rows), sorted(by_id))
    for row in rows:
        known = by_id[row["id"].value]
        same("formulas", [name for name, cell in row.items() if cell.data_type == "f"], [])
        same("cost", row["cost_exact"].value, known["cost"])
        same("model", as_sent(row["model"]), plain(known["model"]))
        same("end_user", as_sent(row["end_user"]), plain(known["end_user"]))
        started = datetime.datetime.fromisoformat(known["started_at"]).replace(tzinfo=None)
        same("started_at", abs(row["started_at"].value - started) < datetime.timedelta(milliseconds=1), True)


def plain(text):
    """XML has one line end."""
    return text if text is None else text.replace("\r\n", "\n")


def as_sent(cell):
    """The text of a cell; the reader leaves a workbook's escapes as they are."""
    return cell.value if cell.value is None else plain(unescape(cell.value))


def check_notes(folder: Path, ledger: list) -> None:
    notes = defaultdict(list)
    for row in table(book(folder, values=True)["Notes"]):
        notes[row["note"].value].append(row["value"].value)
    same("rows", notes["ledger rows"], [str(len(ledger))])
    prices = {meter["price_id"] for row in ledger for meter in row["meters"]}
    same("prices", set(notes["price entry"]), prices)
    same("period", len(notes["from (inclusive)"]) == len(notes["to (exclusive)"]) == 1, True)


CHECKS = {
    "csv": check_csv,
    "csv has no formulas": check_formulas,
    "parquet by pyarrow": check_pyarrow,
    "parquet by duckdb": check_duckdb,
    "focus csv": check_focus_csv,
    "focus parquet": check_focus_parquet,
    "xlsx teams": check_teams,
    "xlsx summary": check_summary,
    "xlsx requests": check_requests,
    "xlsx notes": check_notes,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
