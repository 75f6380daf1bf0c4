"""Runs the FinOps foundation's validator on the FOCUS 1.2 files of a folder, and on a spoilt one.

What the data set does not have, its provider does not "support", so that rules about it do not apply; the
others do. The types of a CSV file are guessed from its values, so that the rules that need a type to begin
with are judged on the Parquet file.
"""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import focus_validator

SUPPORTED = [
    "ACCOUNT_NAMING_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
]

# Rules that a sound file cannot keep, with the reason.
NOT_OURS = {
    # Of the two rules for a null and for a not null one is always broken; their parent, which asks for
    # either, is judged.
    "InvoiceId-C-005-C",
    # Their conditions read CommitmentDiscountStatus, which only data sets with commitment discounts have;
    # and the last one turns its condition around. Our own checker holds what they mean.
    "ConsumedQuantity-C-004-C",
    "ConsumedQuantity-C-005-C",
    "ConsumedQuantity-C-006-C",
}
# Columns of virtual currencies. Their rules ask for "virtual currency and public prices"; the validator
# applies them to whoever has one of the two.
FOREIGN_COLUMNS = re.compile(r"PricingCurrency")


def broken(path: Path, supported: list) -> set:
    """The rules that the validator finds broken."""
    command = [sys.executable, "-m", "focus_validator.main", "--data-file", str(path)]
    command += ["--validate-version", "1.2", "--focus-dataset", "CostAndUsage", "--block-download"]
    if supported:
        command += ["--applicability-criteria", ",".join(supported)]
    # It looks for its list of currencies below its own folder.
    folder = Path(focus_validator.__file__).parent.parent
    quiet = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True)
    totals = re.search(r"Total: (\d+) \| Pass: (\d+) \| Fail: (\d+)", done.stdout)
    if totals is None or int(totals[2]) < 100:
        sys.exit(f"{path.name}: the validator did not run: {done.stdout}{done.stderr}")
    failed = re.findall(r"^\S+ ([A-Za-z]+-[A-Z]-\d+-[A-Z]): FAIL\b(.*)$", done.stdout, re.MULTILINE)
    if len(failed) != int(totals[3]):
        sys.exit(f"{path.name}: {totals[3]} rules failed, {len(failed)} were read: {done.stdout}")
    return {rule for rule, _ in failed if not is_excused(rule, dict(failed))}


def is_excused(rule: str, failed: dict) -> bool:
    """One that is not for us, or broken only through such rules."""
    told = failed[rule]
    if rule in NOT_OURS or FOREIGN_COLUMNS.search(rule + told.split("[")[0]):
        return True
    children = re.search(r"failed child rules: \[([^\]]*)\]", told)
    return bool(children) and all(name in failed and is_excused(name, failed) for name in children[1].split(", "))


def spoil(sound: Path, spoilt: Path) -> None:
    """A copy in which each fault is one that the rules name."""
    with sound.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    del_column = "InvoiceIssuerName"
    for row in rows:
        del row[del_column]
    rows[0]["ChargeCategory"] = ""
    rows[1]["BillingCurrency"] = "dollars"
    rows[2]["ServiceName"] = ""
    with spoilt.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path) -> None:
    for name, supported in (("focus.csv", []), ("focus.parquet", SUPPORTED)):
        rules = broken(folder / name, supported)
        print(f"{name}: {'no broken rule' if not rules else sorted(rules)}", flush=True)
    spoil(folder / "focus.csv", folder / "spoilt.csv")
    rules = broken(folder / "spoilt.csv", [])
    columns = {rule.split("-")[0] for rule in rules}
    wanted = {"ChargeCategory", "BillingCurrency", "ServiceName", "InvoiceIssuerName"}
    print(f"planted: {'found' if wanted <= columns else sorted(rules)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
