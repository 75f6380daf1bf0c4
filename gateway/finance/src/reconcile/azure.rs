//! Cost details files of Azure Cost Management, actual or amortised cost; the columns are those of
//! <https://learn.microsoft.com/azure/cost-management-billing/automate/understand-usage-details-fields>,
//! whose spelling differs between kinds of agreement.
//!
//! A file tells of a whole subscription. Only meters of Azure OpenAI and Foundry models count; their
//! names are like `gpt 4o 0806 Inp glbl Tokens`.

use super::{
    invoice::{InvoiceError, Line, Side, Told},
    models::words,
    table::{Row, Table},
};
use crate::price_list::amount::times_ten_to;

/// Reads a file; lines about other services are only counted.
pub(super) fn read(file: &[u8], take: &mut dyn FnMut(Line)) -> Result<Told, InvoiceError> {
    let mut table = Table::open(file)?;
    let [date, meter, category, cost, currency] = table.require([
        &["date", "usageDate", "usageDateTime"],
        &["meterName"],
        &["meterCategory", "consumedService"],
        &["costInBillingCurrency", "cost", "preTaxCost"],
        &["billingCurrency", "billingCurrencyCode", "currency", "currencyCode"],
    ])?;
    let subcategory = table.column(&["meterSubCategory", "meterSubcategory"]);
    let quantity = table.column(&["quantity", "usageQuantity"]);
    let unit = table.column(&["unitOfMeasure", "unit"]);
    let scope = table.column(&["resourceId", "instanceId", "instanceName"]);
    let mut other_lines = 0;
    while let Some(row) = table.next()? {
        let kind = [Some(category), subcategory].map(|column| column.map_or("", |column| row.text(column)));
        if !kind.into_iter().any(is_of_models) {
            other_lines += 1;
            continue;
        }
        let name = row.text(meter);
        let side = side(name);
        take(Line {
            day: row.day(date)?,
            model: Some(name.to_owned()),
            side,
            cost: Some(row.amount(cost, row.text(currency))?),
            tokens: match (side, quantity) {
                (Side::Other, _) | (_, None) => None,
                (_, Some(quantity)) => tokens(&row, quantity, unit)?,
            },
            scope: scope.map(|scope| row.text(scope).to_owned()).filter(|scope| !scope.is_empty()),
        });
    }
    Ok(Told { other_lines, pages: None })
}

fn is_of_models(category: &str) -> bool {
    let plain = category.to_ascii_lowercase();
    plain.contains("openai") || plain.contains("foundry models")
}

/// Which tokens a meter counts.
fn side(meter: &str) -> Side {
    let words = words(meter);
    let any = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    match () {
        () if any(&["cchd", "cached", "cache", "cd", "cchdinp"]) => Side::CachedInput,
        () if any(&["inp", "input", "in", "inpt", "prompt"]) => Side::Input,
        () if any(&["outp", "output", "out", "opt", "outpt", "completion"]) => Side::Output,
        () if any(&["tokens", "token"]) => Side::All,
        () => Side::Other,
    }
}

/// The quantity in tokens; none when the unit says nothing that can be counted.
fn tokens(row: &Row<'_>, quantity: usize, unit: Option<usize>) -> Result<Option<u64>, InvoiceError> {
    let Some(power) = unit.map_or(Some(0), |unit| power_of(row.text(unit))) else { return Ok(None) };
    if row.text(quantity).is_empty() {
        return Ok(None);
    }
    let amount = times_ten_to(row.text(quantity), power).ok_or_else(|| row.fault(quantity, "no quantity"))?;
    let whole = amount.pico() / 1_000_000_000_000;
    // Refunds take tokens back, and a part of a token is none.
    let is_whole = amount.pico() % 1_000_000_000_000 == 0;
    Ok(u64::try_from(whole).ok().filter(|_| is_whole))
}

/// The power of ten of a unit such as `1K`, `1M`, `1000` or `1000000 Tokens`.
fn power_of(unit: &str) -> Option<i32> {
    let unit = unit.split_whitespace().next().unwrap_or_default();
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = unit.split_at(digits);
    let zeros = number.strip_prefix('1').filter(|zeros| zeros.bytes().all(|byte| byte == b'0'))?;
    let of_suffix = match suffix {
        "" => 0,
        "K" | "k" => 3,
        "M" | "m" => 6,
        _ => return None,
    };
    Some(i32::try_from(zeros.len()).ok()? + of_suffix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::written::Amount;

    fn lines(file: &str) -> Result<(Vec<Line>, u64), InvoiceError> {
        let mut lines = Vec::new();
        let told = read(file.as_bytes(), &mut |line| lines.push(line))?;
        Ok((lines, told.other_lines))
    }

    #[test]
    fn lines_of_models_are_taken_from_the_bill_of_a_subscription() {
        let file = "InvoiceSectionName,Date,MeterCategory,MeterSubCategory,MeterName,Quantity,UnitOfMeasure,\
            CostInBillingCurrency,BillingCurrencyCode,ResourceId,Tags\r\n\
            x,11/05/2026,Virtual Machines,Dv5,D4,24,1 Hour,4.6,USD,/vm/1,\r\n\
            x,11/05/2026,Cognitive Services,Azure OpenAI,gpt 4o 0806 Inp glbl Tokens,1250.5,1K,3.126250,USD,/oai/1,\"\"\"a\"\": 1\"\r\n\
            x,11/05/2026,Foundry Models,Azure OpenAI,gpt 4o 0806 cchd Inp glbl Tokens,2E-2,1M,0.025,USD,/oai/1,\r\n\
            x,11/05/2026,Foundry Models,Azure OpenAI,Provisioned Managed Global Unit,1,1 Hour,1,USD,/oai/1,\r\n";
        let (lines, others) = lines(file).expect("read");
        assert_eq!(others, 1);
        let told: Vec<_> = lines.iter().map(|line| (line.side, line.tokens)).collect();
        assert_eq!(
            told,
            [(Side::Input, Some(1_250_500)), (Side::CachedInput, Some(20_000)), (Side::Other, None)]
        );
        assert_eq!(lines[0].cost, Amount::read("3.126250", 0, "USD"));
        assert_eq!(lines[0].scope.as_deref(), Some("/oai/1"));
    }

    #[test]
    fn both_spellings_of_the_columns_are_known_and_missing_ones_named() {
        let file = "date,meterName,meterCategory,costInBillingCurrency,billingCurrency,quantity,unitOfMeasure\n\
            2026-11-05,gpt-4o Output Tokens,Azure OpenAI Service,1,EUR,3,1K\n";
        let (lines, _) = lines(file).expect("read");
        assert_eq!((lines[0].side, lines[0].tokens), (Side::Output, Some(3_000)));
        let error =
            super::read(b"date,quantity\n", &mut |_| {}).expect_err("columns are missing").to_string();
        assert!(
            error.contains("lacks `meterName`, `meterCategory`, `costInBillingCurrency`, `billingCurrency`"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(row in prop::collection::vec(".{0,12}", 7), raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut file = csv::Writer::from_writer(Vec::new());
            let header =
                ["date", "meterName", "meterCategory", "costInBillingCurrency", "billingCurrency", "quantity", "unitOfMeasure"];
            file.write_record(header).expect("written");
            file.write_record(&row).expect("written");
            file.write_record(["2026-11-05", "gpt Inp", "Azure OpenAI", "1", "USD", &row[0], &row[1]]).expect("written");
            let mut file = file.into_inner().expect("flushed");
            let _ = read(&file, &mut |_| {});
            file.extend(raw);
            let _ = read(&file, &mut |_| {});
        }
    }
}
