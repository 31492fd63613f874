import FaceAllCore
import SwiftUI

/// Faces without a name that may be known people: one question after another.
struct ReviewView: View {
    @EnvironmentObject private var faces: FacesModel
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationView {
            Group {
                if let item = faces.review.first {
                    question(item)
                } else {
                    Text("There are no open questions.")
                }
            }
            .navigationTitle("Review")
            .toolbar { ToolbarItem(placement: .cancellationAction) { Button("Done") { dismiss() } } }
        }
    }

    private func question(_ item: ReviewItem) -> some View {
        VStack(spacing: 24) {
            Text("Is this \(item.candidate.person.name)?").font(.title2)
            HStack {
                Thumbnail(jpeg: item.face.thumbnail).accessibilityLabel("The face without a name")
                Thumbnail(jpeg: item.candidate.face.thumbnail).accessibilityLabel("A face of \(item.candidate.person.name)")
            }
            HStack {
                Button("No") { Task { await faces.answer(item, same: false) } }
                    .accessibilityLabel("No, this is not \(item.candidate.person.name)")
                Button("Yes") { Task { await faces.answer(item, same: true) } }
                    .accessibilityLabel("Yes, this is \(item.candidate.person.name)")
            }
            .buttonStyle(.borderedProminent)
            Button("Do not ask about this face") { Task { await faces.hideFace(of: item) } }
        }
        .padding()
    }
}
