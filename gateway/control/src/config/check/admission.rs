//! How much a process may take on.

use tollgate_proxy::Gate;

use super::Check;
use crate::config::problem::Path;

impl Check<'_> {
    pub(super) fn admission(&mut self) {
        let file = self.file;
        let (admission, edge) = (Path::default().field("admission"), Path::default().field("edge"));
        let places = [(&admission, file.admission.max_in_flight), (&edge, file.edge.max_in_flight)];
        for (section, most) in places {
            if most.is_some_and(|most| !(1..=Gate::MOST).contains(&most)) {
                let message = format!("expected a number from 1 to {}", Gate::MOST);
                self.error(section.field("max_in_flight"), message);
            }
        }
        if file.edge.max_in_flight.is_some() {
            let path = edge.field("max_in_flight");
            if file.admission.max_in_flight.is_some() {
                self.error(path, "the same as `admission.max_in_flight`: give that one only");
            } else {
                self.warn(path, "it is called `admission.max_in_flight` now");
            }
        }
        let sizes =
            [("max_body_bytes_held", file.admission.max_body_bytes_held), ("memory", file.admission.memory)];
        for (field, size) in sizes {
            if size.is_some_and(|size| size.0 == 0) {
                self.error(admission.field(field), "must be at least 1B");
            }
        }
    }
}
