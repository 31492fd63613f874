import FaceAllCore
import SwiftUI

/// The camera with names on the faces, and buttons to enrol and to list people.
struct ContentView: View {
    private enum Sheet: String, Identifiable {
        case enrol, people, review, settings

        var id: String { rawValue }
    }

    @EnvironmentObject private var faces: FacesModel
    @State private var sheet: Sheet?
    @State private var name = ""

    var body: some View {
        ZStack(alignment: .bottom) {
            CameraPreview(session: faces.camera.session).ignoresSafeArea().accessibilityHidden(true)
            NamesOverlay(faces: faces.faces, frame: faces.frameSize).ignoresSafeArea()
            VStack {
                if let message = faces.message {
                    Text(message).padding().background(.thinMaterial).cornerRadius(12)
                        .onTapGesture { faces.message = nil }
                        .accessibilityHint("Double tap to hide this message")
                }
                buttons
            }
            if !faces.isReady && faces.message == nil {
                ProgressView("Loading the models").frame(maxHeight: .infinity)
            }
        }
        .sheet(item: $sheet) { sheet in
            switch sheet {
            case .enrol: EnrolView(name: $name)
            case .people: PeopleView()
            case .review: ReviewView()
            case .settings: SettingsView()
            }
        }
    }

    private var buttons: some View {
        HStack {
            Button("Enrol") { sheet = .enrol }.disabled(faces.faces.isEmpty)
                .accessibilityHint("Stores the face in front of the camera under a name")
            Spacer()
            Button("Review (\(faces.review.count))") { sheet = .review }.disabled(faces.review.isEmpty)
                .accessibilityLabel("Review, \(faces.review.count) questions")
            Button("People (\(faces.people.count))") { sheet = .people }
                .accessibilityLabel("People, \(faces.people.count) enrolled")
            Button { sheet = .settings } label: { Image(systemName: "gearshape") }
                .accessibilityLabel("Settings")
        }
        .buttonStyle(.borderedProminent)
        .padding()
    }
}

/// A form for the name of the face in the image.
struct EnrolView: View {
    @EnvironmentObject private var faces: FacesModel
    @Environment(\.dismiss) private var dismiss
    @Binding var name: String

    var body: some View {
        NavigationView {
            Form {
                Section {
                    TextField("Name", text: $name).textContentType(.name)
                } footer: {
                    Text(
                        "The \(FacesModel.enrolledFrames) best of the last frames are stored. Ask people before you enrol"
                            + " them. Their faces stay on this phone until you delete them."
                    )
                }
            }
            .navigationTitle("Who is this?")
            .toolbar {
                ToolbarItem(placement: .cancellationAction) { Button("Cancel") { dismiss() } }
                ToolbarItem(placement: .confirmationAction) {
                    Button("Enrol") {
                        Task {
                            await faces.enrol(as: name)
                            dismiss()
                        }
                    }
                    .disabled(name.trimmingCharacters(in: .whitespaces).isEmpty)
                }
            }
        }
    }
}

/// A box and a name on every face. Positions are mirrored, as the preview of a front camera is.
struct NamesOverlay: View {
    let faces: [SeenFace]
    let frame: CGSize

    var body: some View {
        GeometryReader { geometry in
            let scale = min(geometry.size.width / frame.width, geometry.size.height / frame.height)
            let left = (geometry.size.width - frame.width * scale) / 2
            let top = (geometry.size.height - frame.height * scale) / 2
            ForEach(faces) { face in
                let width = CGFloat(face.box.width) * scale, height = CGFloat(face.box.height) * scale
                let x = left + (frame.width - CGFloat(face.box.x1)) * scale, y = top + CGFloat(face.box.y0) * scale
                Text(label(of: face))
                    .font(.headline)
                    .frame(width: width, height: height, alignment: .bottom)
                    .border(colour(of: face), width: 2)
                    .position(x: x + width / 2, y: y + height / 2)
                    .accessibilityLabel(spoken(face))
            }
        }
    }

    private func label(of face: SeenFace) -> String {
        guard let name = face.name else { return "?" }
        return face.decision == .possible ? "\(name)?" : name
    }

    private func spoken(_ face: SeenFace) -> String {
        guard let name = face.name else { return "An unknown face" }
        return face.decision == .possible ? "Possibly \(name)" : name
    }

    private func colour(of face: SeenFace) -> Color {
        switch face.decision {
        case .match: return .green
        case .possible: return .orange
        case .unknown: return .yellow
        }
    }
}
