//! IN-9: how soon a webhook answers the platform.

use super::expectations::Expectations;
use super::figures::Figures;
use super::logs::Run;
use super::report::Finding;

/// Decides IN-9: every answer within the platform's patience, and 99.9 % of them within what the run demands. What was not
/// answered at all is repeated by the platform, and IN-5 asks what became of it.
pub fn check(run: &Run, expectations: &Expectations, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("IN-9");
    let answered: Vec<_> = run.deliveries.iter().filter(|line| line.status.is_some()).collect();
    for line in &answered {
        finding.check(line.took_ms < expectations.webhook_limit_ms, || {
            format!("{} {}: sent at {}, answered after {} ms", line.acct, line.key, line.t_sent, line.took_ms)
        });
    }
    figures.webhook_ms = answered.iter().map(|line| line.took_ms).collect();
    if let Some(demanded) = expectations.webhook_answer_ms {
        let slow = answered.iter().filter(|line| line.took_ms >= demanded).count();
        if slow > answered.len() / 1000 {
            finding.violate(|| format!("{slow} of {} answers took {demanded} ms or more", answered.len()));
        }
    }
    finding
}
